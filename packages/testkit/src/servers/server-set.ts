import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { eventually } from '../eventually.js'
import { ensureInstalled, type ServiceName } from './binaries.js'
import { ownedFolder, PrivateServer } from './private-server.js'

export interface ServerSetOptions {
  readonly services: readonly ServiceName[]
  readonly durable?: boolean
  readonly log?: (line: string) => void
}

const USER = 'mylab'
const PASSWORD = 'mylab-demo'

/**
 * Private servers for the demo, tests and benches: started together, on free ports, below one temporary folder, and
 * stopped with whoever started them. Never adopts a server that it did not start.
 */
export class ServerSet {
  readonly directory: string
  readonly #servers: Map<ServiceName, PrivateServer>
  readonly #atExit = (): void => {
    for (const server of this.#servers.values()) server.killNow()
    rmSync(this.directory, { recursive: true, force: true })
  }

  private constructor(directory: string, servers: Map<ServiceName, PrivateServer>) {
    this.directory = directory
    this.#servers = servers
  }

  /** Installs what is missing, then starts everything. Throws an Error with a remedy; nothing is left running then. */
  static async start(options: ServerSetOptions): Promise<ServerSet> {
    ensureInstalled(options.services, options.log ?? (() => {}))
    const directory = mkdtempSync(join(tmpdir(), 'mylab-'))
    chmodSync(directory, 0o755)
    const servers = new Map(
      options.services.map((service) => [
        service,
        new PrivateServer(service, ownedFolder(join(directory, service)), options.durable ?? false),
      ]),
    )
    const set = new ServerSet(directory, servers)
    process.once('exit', set.#atExit)
    try {
      await Promise.all([...servers.values()].map((server) => server.start()))
      await set.#createAccounts()
    } catch (error) {
      await set.close()
      throw error
    }
    return set
  }

  server(service: ServiceName): PrivateServer {
    const server = this.#servers.get(service)
    if (!server) throw new Error(`${service} is not part of this set`)
    return server
  }

  /** The variables by which the product finds these servers. */
  environment(databases: { readonly source: string; readonly target: string }): Record<string, string> {
    const environment: Record<string, string> = {
      DB_HOST: '127.0.0.1',
      DB_PORT: String(this.server('mariadb').port),
      DB_DATABASE: databases.source,
      DB_USERNAME: USER,
      DB_PASSWORD: PASSWORD,
      PGSQL_HOST: '127.0.0.1',
      PGSQL_PORT: String(this.server('postgres').port),
      PGSQL_DATABASE: databases.target,
      PGSQL_USERNAME: USER,
      PGSQL_PASSWORD: PASSWORD,
      PGSQL_SSLMODE: 'disable',
    }
    if (this.#servers.has('redis')) environment['REDIS_URL'] = `redis://127.0.0.1:${this.server('redis').port}`
    return environment
  }

  /** The source's administrator, by socket; the caller ends the connection. */
  sourceAdmin(database?: string): Promise<mysql.Connection> {
    return mysql.createConnection({
      socketPath: this.server('mariadb').socket,
      user: 'root',
      multipleStatements: true,
      charset: 'utf8mb4_general_ci',
      ...(database === undefined ? {} : { database }),
    })
  }

  async targetAdmin(database = 'postgres'): Promise<pg.Client> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: this.server('postgres').port,
      user: USER,
      password: PASSWORD,
      database,
    })
    client.on('error', () => {})
    await client.connect()
    return client
  }

  /** Fresh and empty, whatever was there before. */
  async createDatabases(databases: { readonly source: string; readonly target: string }): Promise<void> {
    const source = await this.sourceAdmin()
    await source
      .query(
        `DROP DATABASE IF EXISTS \`${databases.source}\`; CREATE DATABASE \`${databases.source}\` CHARACTER SET utf8mb4`,
      )
      .finally(() => source.end())
    const target = await this.targetAdmin()
    try {
      await target.query(`DROP DATABASE IF EXISTS "${databases.target}" WITH (FORCE)`)
      await target.query(`CREATE DATABASE "${databases.target}"`)
    } finally {
      await target.end()
    }
  }

  /** Stops everything and removes the folder. */
  async close(): Promise<void> {
    process.removeListener('exit', this.#atExit)
    await Promise.all([...this.#servers.values()].map((server) => server.stop()))
    rmSync(this.directory, { recursive: true, force: true })
  }

  async #createAccounts(): Promise<void> {
    if (this.#servers.has('mariadb')) {
      const admin = await eventually('mariadb accepts connections', () => this.sourceAdmin(), 30_000)
      await admin
        .query(`CREATE USER '${USER}'@'%' IDENTIFIED BY '${PASSWORD}'; GRANT ALL PRIVILEGES ON *.* TO '${USER}'@'%'`)
        .finally(() => admin.end())
    }
    if (this.#servers.has('postgres')) {
      const admin = await eventually('postgres accepts connections', () => this.targetAdmin(), 30_000)
      await admin.query(`ALTER ROLE ${USER} PASSWORD '${PASSWORD}'`).finally(() => admin.end())
    }
  }
}
