/** The three kinds of server for demo, tests and benches. */
export type ServiceName = 'mariadb' | 'postgres' | 'redis'

/** The administrator of every private server: all rights, over TCP, only with its password, which no log may contain. */
export const ACCOUNT = { user: 'mylab', password: 'private-password-that-no-log-may-hold' } as const

/** A server program that was run once for its version, and works. */
export interface Installation {
  readonly program: string
  /** Its argv[0]. PostgreSQL locates its other files by it, and Debian's Redis is one program that acts by this name. */
  readonly calledAs: string
  readonly version: string
  /** Set if the program was unpacked without root, so that the system does not find its libraries. */
  readonly libraryPath?: string
}

/** What a service kind needs to know about one private instance. */
export interface Place {
  readonly installation: Installation
  /** Owned by the server's user; contains `data`, `tmp`, the socket and the log. */
  readonly folder: string
  readonly port: number
  /** Whether acknowledged writes survive a power cut, and not only the server's SIGKILL. */
  readonly durable: boolean
  readonly extraArguments: readonly string[]
}

/** Runs a program as the server's user in the instance's folder. Rejects with its output if it fails. */
export type RunAsServer = (program: string, args: readonly string[], input?: string) => Promise<void>

/** The differences between MariaDB (or MySQL), PostgreSQL and Redis as private instances. */
export interface ServiceKind {
  readonly name: ServiceName
  readonly title: string
  /** File names to look for, best first, and the argv[0] if it is not the path. */
  readonly programs: readonly { readonly file: string; readonly calledAs?: string }[]
  /** Programs that must be in the same folder. */
  readonly besides: readonly string[]
  /** Its first group is the version; a program whose `--version` does not match is another product. */
  readonly version: RegExp
  /** The only folder to search; nothing missing there is installed. */
  readonly folder?: string
  readonly stopSignal: NodeJS.Signals
  initialise(place: Place, run: RunAsServer): Promise<void>
  serverArguments(place: Place): readonly string[]
  /** True if this very instance answers over TCP, false if another one does. Throws if none answers. */
  answers(place: Place): Promise<boolean>
}
