import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { eventually } from '../eventually.js'
import { freePort, isListening } from '../free-port.js'
import { sourceSocket } from './mariadb.js'
import { isAlive, isStopped, signalAll, withChildren } from './process-tree.js'
import { ownedFolder, type ServerUser } from './server-user.js'
import type { Installation, Place, ServiceKind, ServiceName } from './service.js'
import type { Watchdog } from './watchdog.js'

const START_MS = 30_000
const STOP_MS = 30_000
const PORTS_TO_TRY = 5
const LOG_LINES = 25

export interface PrivateServerOptions {
  readonly kind: ServiceKind
  readonly installation: Installation
  readonly folder: string
  readonly durable: boolean
  readonly extraArguments: readonly string[]
  readonly user: ServerUser | undefined
  readonly watchdog: Watchdog
}

/** A cold copy of one server's data, valid as long as its set. */
export interface Backup {
  readonly service: ServiceName
  readonly folder: string
}

/** One private instance on a free port, with its own data and temporary folders. */
export class PrivateServer {
  readonly #options: PrivateServerOptions
  #process: ChildProcess | undefined
  #port = 0
  #backups = 0

  constructor(options: PrivateServerOptions) {
    this.#options = options
  }

  get service(): ServiceName {
    return this.#options.kind.name
  }

  get folder(): string {
    return this.#options.folder
  }

  get version(): string {
    return this.#options.installation.version
  }

  /** Constant for the life of the instance; 0 before the first start. */
  get port(): number {
    return this.#port
  }

  /** The source's socket, where `root` needs no password. */
  get socket(): string {
    return sourceSocket(this.folder)
  }

  get running(): boolean {
    return this.#process !== undefined && !hasEnded(this.#process)
  }

  /**
   * Starts the server, on its earlier port if it had one, and waits until this very instance answers over TCP. Does nothing if it
   * runs. `more` is appended to the command line for this run. Throws after 30 s, or if the server exits, with the end of its log.
   */
  async start(more: readonly string[] = []): Promise<void> {
    if (this.running) return
    if (this.#port === 0) await this.#initialise()
    const ports = this.#port === 0 ? PORTS_TO_TRY : 1
    for (let attempt = 1; ; attempt += 1) {
      const port = this.#port || (await freePort())
      const outcome = await this.#launch(port, more)
      if (outcome === 'answers') {
        this.#port = port
        return
      }
      // It exited, and something listens there: another process took the port between choice and bind.
      if (attempt < ports && (await isListening(port))) continue
      throw new Error(`${this.#options.kind.title} did not start. The end of ${this.#log}:\n${this.#logTail()}`)
    }
  }

  /**
   * Stops the server in its orderly way, or by `signal`, and waits until it has ended and its port is closed. Kills it after
   * 30 s and throws.
   */
  async stop(signal: NodeJS.Signals = this.#options.kind.stopSignal): Promise<void> {
    const process = this.#process
    if (!process?.pid || hasEnded(process)) return
    signalAll(withChildren(process.pid), 'SIGCONT')
    process.kill(signal)
    const slow = await eventually(`${this.service} ends`, () => hasEnded(process), STOP_MS).catch((e: unknown) => e)
    await this.kill()
    if (slow instanceof Error) throw slow
  }

  /** Simulates a crash: SIGKILL to the server and all its sessions. Returns when all have ended and the port is closed. */
  async kill(): Promise<void> {
    const process = this.#process
    if (!process?.pid) return
    // the process id of an ended process may have been reused
    const all = hasEnded(process) ? [] : withChildren(process.pid)
    signalAll(all, 'SIGKILL')
    await eventually(`${this.service} has ended`, () => hasEnded(process) && !all.some(isAlive), STOP_MS)
    if (this.#port !== 0)
      await eventually(`port ${this.#port} is closed`, async () => !(await isListening(this.#port)), STOP_MS)
    this.#process = undefined
  }

  /** Stops the server and its sessions with SIGSTOP, for half-open connections: the kernel still accepts for them. */
  async freeze(): Promise<void> {
    const pid = this.#process?.pid
    if (pid === undefined) return
    // The parent first, so that it cannot start another session.
    for (const group of [() => [pid], () => withChildren(pid)]) {
      const all = group()
      signalAll(all, 'SIGSTOP')
      await eventually(`${this.service} is stopped`, () => all.every(isStopped), STOP_MS)
    }
  }

  thaw(): void {
    const pid = this.#process?.pid
    if (pid !== undefined) signalAll(withChildren(pid).reverse(), 'SIGCONT')
  }

  /** Stops the server for the copy, which breaks its connections; restarts it if it was running. */
  async backup(): Promise<Backup> {
    const ran = this.running
    await this.stop()
    this.#backups += 1
    const backup: Backup = { service: this.service, folder: join(this.folder, `backup-${this.#backups}`) }
    await promisify(execFile)('cp', ['-a', this.#data, backup.folder])
    if (ran) await this.start()
    return backup
  }

  /** Goes back in time: kills the server, restores the copy and starts it. The copy remains valid. */
  async restore(backup: Backup): Promise<void> {
    if (!backup.folder.startsWith(`${this.folder}/`)) throw new Error(`${backup.folder} is not a backup of this server`)
    await this.kill()
    await rm(this.#data, { recursive: true, force: true })
    await promisify(execFile)('cp', ['-a', backup.folder, this.#data])
    await this.start()
  }

  get #data(): string {
    return join(this.folder, 'data')
  }

  get #log(): string {
    return join(this.folder, 'server.log')
  }

  get #environment(): Record<string, string> {
    const { libraryPath } = this.#options.installation
    const inherited = process.env['PATH'] ?? '/usr/bin:/bin'
    return { PATH: inherited, TZ: 'UTC', LC_ALL: 'C.UTF-8', ...(libraryPath ? { LD_LIBRARY_PATH: libraryPath } : {}) }
  }

  #place(port: number): Place {
    const { installation, folder, durable, extraArguments } = this.#options
    return { installation, folder, port, durable, extraArguments }
  }

  async #initialise(): Promise<void> {
    const { kind, user } = this.#options
    await rm(this.#data, { recursive: true, force: true })
    for (const path of [this.folder, this.#data, join(this.folder, 'tmp')]) ownedFolder(path, user)
    await kind.initialise(this.#place(0), (program, args, input) => this.#run(program, args, input))
  }

  async #run(program: string, args: readonly string[], input = ''): Promise<void> {
    const child = spawn(program, args, { ...this.#options.user, cwd: this.folder, env: this.#environment })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (said += data.toString()))
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    await once(child, 'close')
    if (child.exitCode === 0) return
    await writeFile(this.#log, said)
    throw new Error(`${program} failed (${child.exitCode ?? child.signalCode}):\n${lastLines(said)}`)
  }

  async #launch(port: number, more: readonly string[]): Promise<'answers' | 'ended'> {
    const { kind, installation, user, watchdog } = this.#options
    const place = this.#place(port)
    const log = openSync(this.#log, 'a')
    const child = spawn(installation.program, [...kind.serverArguments(place), ...more], {
      ...user,
      argv0: installation.calledAs,
      cwd: this.#data,
      env: this.#environment,
      // A separate session: Ctrl-C at the terminal only reaches its starter, which stops the servers in order.
      detached: true,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    await once(child, 'spawn')
    if (child.pid !== undefined) watchdog.watch(child.pid)
    child.unref()
    this.#process = child
    try {
      return await eventually(
        `${kind.title} answers`,
        async () => (hasEnded(child) ? 'ended' : (await kind.answers(place)) && 'answers'),
        START_MS,
      )
    } catch (error) {
      await this.kill()
      throw new Error(`${kind.title} does not answer. The end of ${this.#log}:\n${this.#logTail()}`, { cause: error })
    }
  }

  #logTail(): string {
    return existsSync(this.#log) ? lastLines(readFileSync(this.#log, 'utf8')) : ''
  }
}

function hasEnded(process: ChildProcess): boolean {
  return process.exitCode !== null || process.signalCode !== null
}

function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-LOG_LINES).join('\n')
}
