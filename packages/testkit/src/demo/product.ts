import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, closeSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export const CLI = new URL('../../../../apps/cli/bin/mylab-sync.js', import.meta.url).pathname

const AGAIN_MS = 1_000

/** The product as users run it: commands that end, and long-running processes that are restarted when they die. */
export class Product {
  readonly #environment: NodeJS.ProcessEnv
  readonly #directory: string
  readonly #signal: AbortSignal
  readonly #say: (line: string) => void
  readonly #staying: Staying[] = []

  /** Logs go below `directory`; the signal ends a running command. */
  constructor(at: {
    environment: Record<string, string>
    directory: string
    signal: AbortSignal
    say: (line: string) => void
  }) {
    this.#environment = { ...process.env, ...at.environment }
    this.#directory = at.directory
    this.#signal = at.signal
    this.#say = at.say
  }

  /** Runs one command and shows its output. Throws if its exit code is not in `ok`. */
  async run(args: readonly string[], ok: readonly number[] = [0]): Promise<string> {
    const asked = `mylab-sync ${args.join(' ')}`
    this.#signal.throwIfAborted()
    this.#say(`\n$ ${asked}`)
    const child = spawn(process.execPath, [CLI, ...args], {
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const end = (): void => void child.kill('SIGTERM')
    this.#signal.addEventListener('abort', end, { once: true })
    let out = ''
    createInterface({ input: child.stdout }).on('line', (line) => {
      out += `${line}\n`
      if (!args.includes('--json')) this.#say(line)
    })
    try {
      const [code] = (await once(child, 'close')) as [number | null]
      this.#signal.throwIfAborted()
      if (!ok.includes(code ?? -1)) throw new Error(`${asked}: exit ${code}`)
      return out
    } finally {
      this.#signal.removeEventListener('abort', end)
    }
  }

  /** Starts a process that runs until `stop`. */
  stay(name: string, args: readonly string[]): Staying {
    this.#say(`$ mylab-sync ${args.join(' ')} &`)
    const staying = new Staying(name, args, {
      environment: this.#environment,
      log: join(this.#directory, `${name}.log`),
      say: this.#say,
    })
    this.#staying.push(staying)
    return staying
  }

  async stop(): Promise<void> {
    await Promise.all(this.#staying.map((staying) => staying.stop()))
  }
}

interface StayingAt {
  readonly environment: NodeJS.ProcessEnv
  readonly log: string
  readonly say: (line: string) => void
}

/** Acts as a supervisor: restarts a process that exits or is killed, and reports it. */
class Staying {
  readonly name: string
  readonly #args: readonly string[]
  readonly #at: StayingAt
  #child: ChildProcess
  #stopping = false
  #again: NodeJS.Timeout | undefined

  constructor(name: string, args: readonly string[], at: StayingAt) {
    this.name = name
    this.#args = args
    this.#at = at
    this.#child = this.#start()
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get log(): string {
    return this.#at.log
  }

  #start(): ChildProcess {
    const log = openSync(this.#at.log, 'a')
    try {
      const child = spawn(process.execPath, [CLI, ...this.#args], {
        env: this.#at.environment,
        stdio: ['ignore', log, log],
      })
      child.once('exit', (code, signal) => this.#ended(signal ?? `exit ${code}`))
      return child
    } finally {
      closeSync(log)
    }
  }

  #ended(how: string): void {
    if (this.#stopping) return
    this.#again = setTimeout(() => {
      this.#child = this.#start()
      this.#at.say(`\n${this.name} ended (${how}) and was restarted: pid ${this.pid}`)
    }, AGAIN_MS)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#again)
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await ended
  }
}
