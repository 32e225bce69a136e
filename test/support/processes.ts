import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { eventually } from '@mylab-sync/testkit'

const BIN = fileURLToPath(new URL('../../../apps/cli/bin/mylab-sync.js', import.meta.url))
const RUN_MS = 60_000

export interface Finished {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Starts the product's processes as a user does: with these variables only, and no file in the working directory. */
export class Cli implements AsyncDisposable {
  readonly #env: Readonly<Record<string, string>>
  readonly #prefix: readonly string[]
  readonly #processes = new Set<CliProcess>()

  /** `prefix`: the command that runs a program elsewhere, such as in a network namespace. */
  constructor(env: Readonly<Record<string, string>>, prefix: readonly string[] = []) {
    this.#env = env
    this.#prefix = prefix
  }

  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): CliProcess {
    const [program = '', ...rest] = [...this.#prefix, process.execPath, BIN, ...args]
    const child = spawn(program, rest, {
      cwd: tmpdir(),
      env: { PATH: process.env['PATH'], ...this.#env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const started = new CliProcess(child)
    this.#processes.add(started)
    return started
  }

  async run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Finished> {
    return this.start(args, env).finished(RUN_MS)
  }

  /** Kills the processes that still run. */
  async close(): Promise<void> {
    await Promise.all([...this.#processes].map((started) => started.kill()))
    this.#processes.clear()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

export class CliProcess {
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown>
  #out = ''
  #err = ''

  constructor(child: ChildProcess) {
    this.#child = child
    this.#closed = once(child, 'close')
    child.stdout?.on('data', (data: Buffer) => (this.#out += data.toString()))
    child.stderr?.on('data', (data: Buffer) => (this.#err += data.toString()))
  }

  /** Its stderr so far. */
  get said(): string {
    return this.#err
  }

  get printed(): string {
    return this.#out
  }

  /** Closes stdout, as the next program of a pipe does when it ends. */
  stopReading(): void {
    this.#child.stdout?.destroy()
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Waits for the process to end; after the deadline throws an Error with its stderr. */
  async finished(deadlineMs: number): Promise<Finished> {
    await eventually(`the process ends; it said ${this.#err}`, () => this.ended, deadlineMs)
    await this.#closed
    return { code: this.#child.exitCode, out: this.#out, err: this.#err }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async kill(): Promise<void> {
    if (!this.ended) this.#child.kill('SIGKILL')
    await this.#closed
  }
}
