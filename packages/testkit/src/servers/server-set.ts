import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { recreateSourceDatabase, recreateTargetDatabase } from './databases.js'
import { DocumentedAccounts, type Login } from './documented-accounts.js'
import { type ExternalServer, externalServer } from './external-server.js'
import { type Backup, PrivateServer } from './private-server.js'
import { KINDS, provideServers } from './provide.js'
import { ownedFolder, type ServerUser, serverUser, temporaryRoot } from './server-user.js'
import { ACCOUNT, type ServiceName } from './service.js'
import { Watchdog } from './watchdog.js'

export interface ServerSetOptions {
  readonly services: readonly ServiceName[]
  /** The set creates its folder in here. Default: the system's temporary folder. */
  readonly directory?: string
  /** Survive even a power cut, but slower. A server's SIGKILL loses nothing either way. */
  readonly durable?: boolean
  /** Appended to the command lines of private servers; the last occurrence of a setting counts. */
  readonly extraArguments?: Partial<Readonly<Record<ServiceName, readonly string[]>>>
  /** Receives the servers in use and, before a download, packages and size. Default: standard error. */
  readonly log?: (line: string) => void
}

export interface ServerAccess {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** The administrator's URL. */
  readonly adminUrl: string
}

export interface SourceAccess extends ServerAccess {
  /** Private servers only; `root` needs no password here. */
  readonly socketPath?: string
}

export interface DatabaseNames {
  readonly source: string
  readonly target: string
}

// A socket's path may have 107 bytes, and `/postgres/.s.PGSQL.12345` is appended.
const MAX_FOLDER_BYTES = 80

/**
 * Servers for the demo, tests and benches: those given by URL in the environment (SYNC_TEST_MYSQL_URL,
 * SYNC_TEST_POSTGRES_URL, SYNC_TEST_REDIS_URL), otherwise private instances on free ports below one folder. A watchdog ends
 * private instances with the process that started them, however that ends. A set never adopts a server that it happens to
 * find. Any number of sets can run side by side.
 */
export class ServerSet {
  /** Contains all files of private servers; `close` removes it. */
  readonly directory: string
  readonly #private: ReadonlyMap<ServiceName, PrivateServer>
  readonly #external: ReadonlyMap<ServiceName, ExternalServer>
  readonly #watchdog: Watchdog
  readonly #accounts: DocumentedAccounts
  readonly #created = new Set<string>()
  #isMysql = false

  private constructor(external: ReadonlyMap<ServiceName, ExternalServer>, privately: PrivateParts) {
    this.#external = external
    this.#accounts = new DocumentedAccounts(external.size > 0)
    this.directory = privately.directory
    this.#private = privately.servers
    this.#watchdog = privately.watchdog
  }

  /**
   * Starts all services in parallel, after installing missing ones. On failure leaves nothing running and throws an Error with
   * the remedy or the end of a server's log.
   */
  static async start(options: ServerSetOptions): Promise<ServerSet> {
    const external = await externalServers(options.services)
    const set = new ServerSet(external, await privateParts(options, external))
    const outcomes = await Promise.allSettled([...set.#private.values()].map((server) => server.start()))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed) {
      await set.close()
      throw failed.reason
    }
    await set.#createAccounts()
    for (const { service, version, port } of set.#private.values())
      options.log?.(`${KINDS[service].title} ${version} on port ${port}`)
    return set
  }

  /** The private instance. Throws if the service is not in this set, or is given by URL. */
  server(service: ServiceName): PrivateServer {
    const server = this.#private.get(service)
    if (server) return server
    throw new Error(
      this.#external.has(service)
        ? `${service} was given by a URL: it can't be stopped, frozen or restored`
        : `${service} is not part of this set`,
    )
  }

  /** The source for the administrator and the application. */
  get source(): SourceAccess {
    const external = this.#external.get('mariadb')
    if (external) return accessOf(external)
    const { port, socket } = this.server('mariadb')
    const adminUrl = `mysql://root@localhost/?socketPath=${encodeURIComponent(socket)}`
    return { host: '127.0.0.1', port, ...ACCOUNT, adminUrl, socketPath: socket }
  }

  /** The target for the administrator. */
  get target(): ServerAccess {
    const external = this.#external.get('postgres')
    if (external) return accessOf(external)
    const { port } = this.server('postgres')
    const adminUrl = `postgres://${ACCOUNT.user}:${ACCOUNT.password}@127.0.0.1:${port}/postgres`
    return { host: '127.0.0.1', port, ...ACCOUNT, adminUrl }
  }

  /** Whether the source is MySQL instead of MariaDB. */
  get isMysql(): boolean {
    return this.#isMysql
  }

  /** The product's accounts on databases that this set creates, with exactly the rights that the README names. */
  get product(): { readonly source: Login; readonly target: Login } {
    return { source: this.#accounts.source, target: this.#accounts.target }
  }

  get redisUrl(): string {
    return this.#external.get('redis')?.url.href ?? `redis://127.0.0.1:${this.server('redis').port}`
  }

  /** The product's variables for these servers, with its own accounts; Redis only if it is in the set and `redis` is not false. */
  environment(use: DatabaseNames & { readonly redis?: boolean }): Record<string, string> {
    const { source, target, product } = this
    const withRedis = (use.redis ?? true) && this.#has('redis')
    return {
      DB_HOST: source.host,
      DB_PORT: String(source.port),
      DB_DATABASE: use.source,
      DB_USERNAME: product.source.user,
      DB_PASSWORD: product.source.password,
      PGSQL_HOST: target.host,
      PGSQL_PORT: String(target.port),
      PGSQL_DATABASE: use.target,
      PGSQL_USERNAME: product.target.user,
      PGSQL_PASSWORD: product.target.password,
      PGSQL_SCHEMA: 'public',
      PGSQL_SSLMODE: this.#external.get('postgres')?.url.searchParams.get('sslmode') ?? '',
      ...(withRedis ? { REDIS_URL: this.redisUrl } : {}),
    }
  }

  /** Connects as the source's administrator, with several statements per call; the caller ends the connection. */
  async sourceAdmin(database?: string): Promise<mysql.Connection> {
    const { host, port, user, password, socketPath } = this.source
    const connection = await mysql.createConnection({
      ...(socketPath === undefined ? { host, port, user, password } : { socketPath, user: 'root' }),
      multipleStatements: true,
      charset: 'utf8mb4_general_ci',
      ...(database === undefined ? {} : { database }),
    })
    connection.on('error', () => {})
    return connection
  }

  /** Connects as the target's administrator; the caller ends the connection. */
  async targetAdmin(database = 'postgres'): Promise<TargetConnection> {
    const url = new URL(this.target.adminUrl)
    url.pathname = `/${encodeURIComponent(database)}`
    return connected(new pg.Client({ connectionString: url.href }))
  }

  /** Connects as the owner of the target's database, who created what the product may fill; the caller ends the connection. */
  async targetOwner(database: string): Promise<TargetConnection> {
    const { host, port } = this.target
    return connected(new pg.Client({ host, port, ...this.product.target, database }))
  }

  /**
   * Creates an empty database with the product's rights, dropping an older one of this name. On a server given by URL it drops
   * only one that this set created or whose name starts with `sync_test_`, and throws otherwise; `close` drops it there.
   */
  async createSourceDatabase(name: string): Promise<void> {
    await this.#asSourceAdmin(async (admin) => {
      await recreateSourceDatabase(admin, { name, mayDrop: this.#mayDrop('mariadb', name) })
      await this.#accounts.grantOnSource(admin, name)
    })
    this.#created.add(`mariadb ${name}`)
  }

  /** As createSourceDatabase, with the product as owner; terminates sessions in the old database. */
  async createTargetDatabase(name: string): Promise<void> {
    const create = this.#accounts.targetDatabase(name)
    const mayDrop = this.#mayDrop('postgres', name)
    await this.#asTargetAdmin((admin) => recreateTargetDatabase(admin, { name, create, mayDrop }))
    this.#created.add(`postgres ${name}`)
  }

  async createDatabases(names: DatabaseNames): Promise<void> {
    await this.createSourceDatabase(names.source)
    await this.createTargetDatabase(names.target)
  }

  /** The additional grant that the README requires for removing the product from the source. */
  async grantDrop(database: string): Promise<void> {
    await this.#asSourceAdmin((admin) => this.#accounts.grantDrop(admin, database))
  }

  /** `more` is appended to the command line for this run. */
  start(service: ServiceName, more: readonly string[] = []): Promise<void> {
    return this.server(service).start(more)
  }

  stop(service: ServiceName, signal?: NodeJS.Signals): Promise<void> {
    return this.server(service).stop(signal)
  }

  kill(service: ServiceName): Promise<void> {
    return this.server(service).kill()
  }

  freeze(service: ServiceName): Promise<void> {
    return this.server(service).freeze()
  }

  thaw(service: ServiceName): void {
    this.server(service).thaw()
  }

  backup(service: ServiceName): Promise<Backup> {
    return this.server(service).backup()
  }

  restore(backup: Backup): Promise<void> {
    return this.server(backup.service).restore(backup)
  }

  /** Kills private servers, removes the folder, and drops what the set created on servers given by URL. Idempotent. */
  async close(): Promise<void> {
    await this.#dropExternal().finally(async () => {
      await Promise.all([...this.#private.values()].map((server) => server.kill()))
      await this.#watchdog.release()
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #mayDrop(service: ServiceName, name: string): boolean {
    return this.#private.has(service) || name.startsWith('sync_test_') || this.#created.has(`${service} ${name}`)
  }

  #has(service: ServiceName): boolean {
    return this.#private.has(service) || this.#external.has(service)
  }

  async #createAccounts(): Promise<void> {
    if (this.#has('mariadb'))
      await this.#asSourceAdmin(async (admin) => {
        await this.#accounts.createOnSource(admin)
        const [rows] = await admin.query<mysql.RowDataPacket[]>('SELECT VERSION() AS version')
        this.#isMysql = !/mariadb/i.test(String(rows[0]?.['version']))
      })
    if (this.#has('postgres')) await this.#asTargetAdmin((admin) => this.#accounts.createOnTarget(admin))
    for (const service of this.#external.keys()) this.#created.add(service)
  }

  /** In reverse order of creation: an account is dropped after the databases that it owns. */
  async #dropExternal(): Promise<void> {
    for (const entry of [...this.#created].reverse()) {
      this.#created.delete(entry)
      const [service, name] = entry.split(/ (.*)/s)
      if (service === 'mariadb' && this.#external.has(service))
        await this.#asSourceAdmin(async (admin) => {
          if (name === undefined) await this.#accounts.dropOnSource(admin)
          else await admin.query(`DROP DATABASE IF EXISTS ${mysql.escapeId(name, true)}`)
        })
      else if (service === 'postgres' && this.#external.has(service))
        await this.#asTargetAdmin(async (admin) => {
          if (name === undefined) await this.#accounts.dropOnTarget(admin)
          else await admin.query(`DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)}`)
        })
    }
  }

  async #asSourceAdmin(use: (admin: mysql.Connection) => Promise<void>): Promise<void> {
    const admin = await this.sourceAdmin()
    await use(admin).finally(() => admin.end())
  }

  async #asTargetAdmin(use: (admin: pg.Client) => Promise<void>): Promise<void> {
    const admin = await this.targetAdmin()
    await use(admin).finally(() => admin.end())
  }
}

/** `await using` ends it, as it ends a connection of mysql2. */
export type TargetConnection = pg.Client & AsyncDisposable

async function connected(client: pg.Client): Promise<TargetConnection> {
  client.on('error', () => {})
  await client.connect()
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() })
}

interface PrivateParts {
  readonly directory: string
  readonly watchdog: Watchdog
  readonly servers: ReadonlyMap<ServiceName, PrivateServer>
}

async function externalServers(services: readonly ServiceName[]): Promise<ReadonlyMap<ServiceName, ExternalServer>> {
  const found = new Map<ServiceName, ExternalServer>()
  for (const service of services) {
    const server = await externalServer(service)
    if (server) found.set(service, server)
  }
  return found
}

async function privateParts(options: ServerSetOptions, external: ReadonlyMap<string, unknown>): Promise<PrivateParts> {
  const services = options.services.filter((service) => !external.has(service))
  const say = options.log ?? ((line: string) => void process.stderr.write(`${line}\n`))
  const installations = services.length === 0 ? undefined : await provideServers(services, say)
  const user = services.length === 0 ? undefined : serverUser()
  const directory = setFolder(options.directory, user)
  const watchdog = new Watchdog(directory)
  const servers = new Map<ServiceName, PrivateServer>()
  for (const [service, installation] of installations ?? []) {
    const folder = join(directory, service)
    const extraArguments = options.extraArguments?.[service] ?? []
    const durable = options.durable ?? false
    const kind = KINDS[service]
    servers.set(service, new PrivateServer({ kind, installation, folder, durable, extraArguments, user, watchdog }))
  }
  return { directory, watchdog, servers }
}

function setFolder(parent: string | undefined, user: ServerUser | undefined): string {
  if (parent !== undefined) mkdirSync(parent, { recursive: true })
  const directory = mkdtempSync(join(parent ?? temporaryRoot(user), 'mylab-sync-'))
  if (directory.length > MAX_FOLDER_BYTES) throw new Error(`${directory} is too long a path for sockets below it`)
  chmodSync(directory, 0o755)
  ownedFolder(directory, user)
  return directory
}

function accessOf({ host, port, user, password, url }: ExternalServer): ServerAccess {
  return { host, port, user, password, adminUrl: url.href }
}
