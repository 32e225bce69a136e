import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { locateProgram } from '../servers/locate.js'
import type { ServerSet } from '../servers/server-set.js'
import { CLI } from './product.js'

export const DATABASE = 'clinic'

export interface Place {
  readonly servers: ServerSet
  readonly environment: Record<string, string>
  readonly dashboard: string
  readonly say: (line: string) => void
  readonly workers: readonly { readonly name: string; readonly pid: number; readonly log: string }[]
}

/** Prints where everything is, and what to look at and try; each command can be pasted into another terminal. */
export async function guide(place: Place): Promise<void> {
  const { servers, dashboard, workers, say } = place
  const mariadb = await clientOfSource(servers)
  const psql = await clientOfTarget(servers)
  const cli = await script(servers, 'mylab-sync', place.environment, [process.execPath, CLI])
  const { source, target } = servers
  const show = (...commands: readonly string[]): void => {
    for (const command of commands) say(`  ${command}`)
  }
  say(`
Live, under a small write load. Ctrl-C stops everything.

  dashboard   ${dashboard}
  queues      ${dashboard}/queues
  MariaDB     ${source.host}:${source.port}, database ${DATABASE}, user ${source.user}
  PostgreSQL  ${target.host}:${target.port}, database ${DATABASE}, user ${target.user}
  Redis       ${servers.redisUrl}
  passwords   in ${cli}
  logs        ${workers.map(({ log }) => log).join(', ')}`)
  for (const { name, pid } of workers) say(`  ${name.padEnd(10)}  pid ${pid}`)
  say('\nLook, in another terminal:')
  show(`${cli} status`, `${cli} verify-counts`)
  if (mariadb && psql) {
    say('\nChange a row in MariaDB and see it in PostgreSQL:')
    show(
      `${mariadb} -e "UPDATE dokter SET nama = 'dr. Baru' WHERE id = 7"`,
      `${psql} -c "SELECT id, nama FROM dokter WHERE id = 7"`,
    )
    say('\nTRUNCATE a table, which fires no trigger; it is detected and the table copied again:')
    show(`${mariadb} -e "TRUNCATE bayar"`, `${cli} status --table bayar`, `${psql} -c "SELECT count(*) FROM bayar"`)
  }
  say('\nKill a worker: the other one continues, and the demo restarts it like a supervisor:')
  show(`kill -9 ${workers[0]?.pid}`)
  say('')
}

async function clientOfSource(servers: ServerSet): Promise<string | null> {
  const client = await locateProgram(['mariadb', 'mysql'])
  if (!client) return null
  const { host, port, user, password, socketPath } = servers.source
  const place =
    socketPath === undefined ? ['-h', host, '-P', String(port), '-u', user] : ['-S', socketPath, '-u', 'root']
  const environment = { ...libraries(client), ...(socketPath === undefined ? { MYSQL_PWD: password } : {}) }
  return script(servers, 'mariadb', environment, [client.program, ...place, DATABASE])
}

async function clientOfTarget(servers: ServerSet): Promise<string | null> {
  const client = await locateProgram(['psql'])
  if (!client) return null
  const { host, port, user, password } = servers.target
  const place = { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password, PGDATABASE: DATABASE }
  return script(servers, 'psql', { ...libraries(client), ...place }, [client.program])
}

function libraries({ libraryPath }: { readonly libraryPath?: string }): Record<string, string> {
  return libraryPath === undefined ? {} : { LD_LIBRARY_PATH: libraryPath }
}

/** A short script for a long command line; readable only by its owner, since it contains passwords. */
async function script(
  servers: ServerSet,
  name: string,
  environment: Record<string, string>,
  command: readonly string[],
): Promise<string> {
  const folder = join(servers.directory, 'bin')
  await mkdir(folder, { recursive: true })
  const path = join(folder, name)
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
  const exports = Object.entries(environment).map(([variable, value]) => `export ${variable}=${quoted(value)}`)
  await writeFile(path, ['#!/bin/sh', ...exports, `exec ${command.map(quoted).join(' ')} "$@"`, ''].join('\n'))
  await chmod(path, 0o700)
  return path
}
