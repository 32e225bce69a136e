/** The three kinds of server that demo, tests and benches need. */
export type ServiceName = 'mariadb' | 'postgres' | 'redis'

/** The administrator of every private server: all rights, over TCP, only with its password, which no log may hold. */
export const ACCOUNT = { user: 'mylab', password: 'private-password-that-no-log-may-hold' } as const

/** A server program that was started once, for its version, and works. */
export interface Installation {
  readonly program: string
  /** Its argv[0]. PostgreSQL finds its other files from it; Debian's Redis is one program that acts by this name. */
  readonly calledAs: string
  readonly version: string
  /** Set where the program was unpacked without root: its libraries are not where the system looks for them. */
  readonly libraryPath?: string
}

/** What a kind needs to know about one private instance. */
export interface Place {
  readonly installation: Installation
  /** Owned by the server's user; holds `data` and `tmp`, the socket and the log. */
  readonly folder: string
  readonly port: number
  /** Survives a power cut. Without it, acknowledged writes survive the server's SIGKILL only. */
  readonly durable: boolean
  readonly extraArguments: readonly string[]
}

/** Runs a program as the server's user in the instance's folder. Rejects with its output where it fails. */
export type RunAsServer = (program: string, args: readonly string[], input?: string) => Promise<void>

/** What differs between MariaDB (or MySQL), PostgreSQL and Redis; everything else about a private instance is the same. */
export interface ServiceKind {
  readonly name: ServiceName
  readonly title: string
  /** Names to look for, best first, and what the program is to be called as if not by its path. */
  readonly programs: readonly { readonly file: string; readonly calledAs?: string }[]
  /** Programs that must lie in the same folder. */
  readonly besides: readonly string[]
  /** Its first group is the version; a program whose `--version` does not match is another product. */
  readonly version: RegExp
  /** The only folder to look in; what is not there is not fetched either. */
  readonly folder?: string
  readonly stopSignal: NodeJS.Signals
  initialise(place: Place, run: RunAsServer): Promise<void>
  serverArguments(place: Place): readonly string[]
  /** True if this very instance answers over TCP; false for another one on the same port. Throws while none answers. */
  answers(place: Place): Promise<boolean>
}
