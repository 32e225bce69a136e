import { visible } from '@mylab-sync/runtime'
import { createInterface, type Interface } from 'node:readline/promises'
import { Writable } from 'node:stream'

/** Asks questions on a terminal and writes them to stderr: stdout is data. */
export class Prompt {
  readonly #lines: Interface
  readonly #signal: AbortSignal
  #silent = false

  constructor(signal: AbortSignal) {
    this.#signal = signal
    const output = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        if (!this.#silent) process.stderr.write(chunk)
        done()
      },
    })
    this.#lines = createInterface({ input: process.stdin, output, terminal: true })
    // readline turns Ctrl-C into an event instead of a signal.
    this.#lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  }

  /** An empty answer means the suggestion. */
  async ask(question: string, suggestion: string): Promise<string> {
    const shown = suggestion === '' ? question : `${question} [${visible(suggestion)}]`
    const answer = (await this.#lines.question(`${shown}: `, { signal: this.#signal })).trim()
    return answer === '' ? suggestion : answer
  }

  /** Hides what is typed. An empty answer means the suggestion, which is hidden too. */
  async askSecret(question: string, suggestion: string): Promise<string> {
    process.stderr.write(`${question}${suggestion === '' ? '' : ' [keep current]'}: `)
    this.#silent = true
    try {
      const answer = await this.#lines.question('', { signal: this.#signal })
      return answer === '' ? suggestion : answer
    } finally {
      this.#silent = false
      process.stderr.write('\n')
    }
  }

  close(): void {
    this.#lines.close()
  }
}
