import mysql from 'mysql2/promise'
import pg from 'pg'
import { isListening } from '../free-port.js'
import type { ServiceName } from './service.js'

const CONNECT_MS = 5000

const VARIABLES: Readonly<Record<ServiceName, string>> = {
  mariadb: 'SYNC_TEST_MYSQL_URL',
  postgres: 'SYNC_TEST_POSTGRES_URL',
  redis: 'SYNC_TEST_REDIS_URL',
}
const PORTS: Readonly<Record<ServiceName, number>> = { mariadb: 3306, postgres: 5432, redis: 6379 }

/** A server given by URL in the environment; it can be neither stopped nor restored. */
export interface ExternalServer {
  readonly url: URL
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
}

export function isExternal(service: ServiceName): boolean {
  return Boolean(process.env[VARIABLES[service]])
}

/**
 * The server whose URL the environment gives for this service; undefined if it gives none. Throws if that server does not
 * answer: tests must never run on another server than the one named.
 */
export async function externalServer(service: ServiceName): Promise<ExternalServer | undefined> {
  const text = process.env[VARIABLES[service]]
  if (!text) return undefined
  const url = new URL(text)
  const server: ExternalServer = {
    url,
    host: url.hostname,
    port: Number(url.port) || PORTS[service],
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  }
  try {
    await connectOnce(service, server)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`${VARIABLES[service]} is set, but ${server.host}:${server.port} does not answer: ${reason}`, {
      cause: error,
    })
  }
  return server
}

async function connectOnce(service: ServiceName, { url, host, port, user, password }: ExternalServer): Promise<void> {
  if (service === 'mariadb') {
    const connection = await mysql.createConnection({ host, port, user, password, connectTimeout: CONNECT_MS })
    await connection.end()
  } else if (service === 'postgres') {
    const client = new pg.Client({ connectionString: url.href, connectionTimeoutMillis: CONNECT_MS })
    await client.connect()
    await client.end()
  } else if (!(await isListening(port, host))) {
    throw new Error('connection refused')
  }
}
