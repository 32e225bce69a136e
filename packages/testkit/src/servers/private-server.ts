import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chownSync, closeSync, cpSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '../eventually.js'
import { freePort, isListening } from '../free-port.js'
import { program, type ServiceName } from './binaries.js'

const START_MS = 30_000
const STOP_MS = 30_000

/** Servers refuse to run as root: root starts them as an unprivileged user, anybody else as themselves. */
export function serverOwner(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  for (const name of ['postgres', 'mysql', 'nobody']) {
    const user = users.find((fields) => fields[0] === name)
    if (user) return { uid: Number(user[2]), gid: Number(user[3]) }
  }
  throw new Error('no unprivileged user to run servers as: postgres, mysql or nobody')
}

export function ownedFolder(path: string): string {
  mkdirSync(path, { recursive: true })
  const { uid, gid } = serverOwner()
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid)
  return path
}

interface Kind {
  readonly initialise: (folder: string) => void
  readonly command: (at: { folder: string; port: number; durable: boolean }) => string[]
  readonly stopSignal: NodeJS.Signals
}

const KINDS: Readonly<Record<ServiceName, Kind>> = {
  mariadb: {
    initialise: (folder) =>
      run(
        'mariadb-install-db',
        [
          '--no-defaults',
          `--datadir=${folder}/data`,
          '--auth-root-authentication-method=normal',
          '--skip-test-db',
          '--skip-name-resolve',
        ],
        folder,
      ),
    command: ({ folder, port, durable }) => [
      program('mariadbd'),
      '--no-defaults',
      `--datadir=${folder}/data`,
      `--tmpdir=${folder}/tmp`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${folder}/s.sock`,
      `--pid-file=${folder}/pid`,
      '--innodb-buffer-pool-size=256M',
      '--innodb-log-file-size=256M',
      `--innodb-flush-log-at-trx-commit=${durable ? 1 : 2}`,
      '--max-connections=400',
      '--max-allowed-packet=256M',
      '--character-set-server=utf8mb4',
      '--skip-name-resolve',
      '--event-scheduler=OFF',
      '--performance-schema=OFF',
    ],
    stopSignal: 'SIGTERM',
  },
  postgres: {
    initialise: (folder) =>
      run(
        'initdb',
        ['-D', `${folder}/data`, '-U', 'mylab', '--auth=trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'],
        folder,
      ),
    command: ({ folder, port, durable }) => [
      program('postgres'),
      '-D',
      `${folder}/data`,
      '-p',
      String(port),
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      `unix_socket_directories=${folder}`,
      '-c',
      `fsync=${durable ? 'on' : 'off'}`,
      '-c',
      'shared_buffers=256MB',
      '-c',
      'max_wal_size=8GB',
      '-c',
      'max_connections=200',
    ],
    stopSignal: 'SIGINT',
  },
  redis: {
    initialise: () => {},
    command: ({ folder, port }) => [
      program('redis-server'),
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      `${folder}/data`,
      '--save',
      '',
      '--maxmemory-policy',
      'noeviction',
    ],
    stopSignal: 'SIGTERM',
  },
}

function run(name: string, args: readonly string[], folder: string): void {
  execFileSync(program(name), args, { ...serverOwner(), cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
}

/** One private instance on a free port, in a folder of its own, with its own temporary folder. */
export class PrivateServer {
  readonly service: ServiceName
  readonly folder: string
  readonly #durable: boolean
  #child: ChildProcess | undefined
  #port = 0

  constructor(service: ServiceName, folder: string, durable: boolean) {
    this.service = service
    this.folder = folder
    this.#durable = durable
  }

  get port(): number {
    return this.#port
  }

  get socket(): string {
    return join(this.folder, 's.sock')
  }

  /** Starts it, on the port of before if there was one, and waits until the port answers. Throws with the tail of its log. */
  async start(): Promise<void> {
    const first = !existsSync(join(this.folder, 'data'))
    for (const name of ['', 'data', 'tmp']) ownedFolder(join(this.folder, name))
    if (first) KINDS[this.service].initialise(this.folder)
    if (this.#port === 0) this.#port = await freePort()
    const [command = '', ...args] = KINDS[this.service].command({
      folder: this.folder,
      port: this.#port,
      durable: this.#durable,
    })
    const log = openSync(this.#log, 'a')
    const child = spawn(command, args, { ...serverOwner(), cwd: this.folder, stdio: ['ignore', log, log] })
    closeSync(log)
    child.on('error', () => {})
    this.#child = child
    await eventually(
      `${this.service} answers`,
      () => {
        if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended:\n${this.#tail()}`)
        return isListening(this.#port)
      },
      START_MS,
    )
  }

  get #log(): string {
    return join(this.folder, 'server.log')
  }

  #tail(): string {
    return existsSync(this.#log) ? readFileSync(this.#log, 'utf8').split('\n').slice(-15).join('\n') : ''
  }

  /** Ends it by its own orderly stop, or by `signal`, and waits until the process is gone. */
  async stop(signal: NodeJS.Signals = KINDS[this.service].stopSignal): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill(signal)
    await eventually(
      `${this.service} stops`,
      () => child.exitCode !== null || child.signalCode !== null,
      STOP_MS,
    ).catch(() => child.kill('SIGKILL'))
    await eventually(`${this.service} frees its port`, async () => !(await isListening(this.#port)), STOP_MS)
  }

  /** SIGSTOP or SIGCONT, for half-open connections. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal)
  }

  /** At once and without waiting: for the end of the process that started it. */
  killNow(): void {
    this.#child?.kill('SIGKILL')
  }

  /** A cold copy of its data, under `name`; it runs again afterwards. */
  async backup(name: string): Promise<void> {
    await this.stop()
    cpSync(join(this.folder, 'data'), join(this.folder, name), { recursive: true, preserveTimestamps: true })
    await this.start()
  }

  /** Goes back in time to a backup. */
  async restore(name: string): Promise<void> {
    await this.stop('SIGKILL')
    rmSync(join(this.folder, 'data'), { recursive: true })
    execFileSync('cp', ['-a', join(this.folder, name), join(this.folder, 'data')])
    const { uid, gid } = serverOwner()
    if (uid !== undefined) execFileSync('chown', ['-R', `${uid}:${gid}`, join(this.folder, 'data')])
    await this.start()
  }
}
