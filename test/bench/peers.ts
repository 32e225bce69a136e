import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { locateProgram, type ServerSet } from '@mylab-sync/testkit'

/** What a peer of the product takes for the same work on the same servers. */
export interface Place {
  readonly servers: ServerSet
  /** Of both databases. */
  readonly name: string
  /** Ports of lines to the servers, instead of the servers' own. */
  readonly ports?: { readonly source: number; readonly target: number }
}

/** `mariadb -B | psql \copy`: the fastest way of a table's rows that needs no program of one's own. Returns seconds. */
export async function pipe(place: Place, select: string, into: string): Promise<number> {
  const { source, target } = place.servers
  const client = await program(['mariadb', 'mysql'], 'mariadb-client')
  const psql = await program(['psql'], 'postgresql-client')
  const from = ['--no-defaults', ...accountArguments(place), '-B', '--raw', '-N', '-q', '-e', select, place.name]
  const to = ['-X', '-q', '-h', target.host, '-p', String(place.ports?.target ?? target.port), '-U', target.user]
  const copy = [...to, '-d', place.name, '-c', `\\copy ${into} from stdin with (null 'NULL')`]
  const secrets = { MYSQL_PWD: source.password, PGPASSWORD: target.password }
  return timed(async () => {
    const reader = spawn(client, from, { env: { ...process.env, ...secrets }, stdio: ['ignore', 'pipe', 'inherit'] })
    const writer = spawn(psql, copy, {
      env: { ...process.env, ...secrets },
      stdio: [reader.stdout, 'ignore', 'inherit'],
    })
    const ends = await Promise.all([once(reader, 'exit'), once(writer, 'exit')])
    assert.deepEqual(ends.map(([code]) => code), [0, 0], 'the pipe failed') // biome-ignore format: one line
  })
}

function accountArguments({ servers, ports }: Place): string[] {
  const { host, port, user } = servers.source
  return [
    '--protocol=tcp',
    '-h',
    host,
    '-P',
    String(ports?.source ?? port),
    '-u',
    user,
    '--default-character-set=utf8mb4',
  ]
}

/** pgloader with all tables, indexes and foreign keys. Returns seconds; null if it is not installed. */
export async function pgloader({ servers, name }: Place): Promise<number | null> {
  const found = await locateProgram(['pgloader'])
  if (found === undefined) return null
  const { source, target } = servers
  const command = `LOAD DATABASE FROM mysql://${source.user}:${source.password}@${source.host}:${source.port}/${name}
    INTO postgresql://${target.user}:${target.password}@${target.host}:${target.port}/${name}
    WITH include drop, create tables, create indexes, reset sequences, foreign keys, workers = 4, concurrency = 1, prefetch rows = 25000
    ALTER SCHEMA '${name}' RENAME TO 'public';`
  const file = join(servers.directory, 'pgloader.load')
  await writeFile(file, command, { mode: 0o600 })
  return timed(async () => {
    const child = spawn(found.program, [file], { cwd: servers.directory, stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.on('data', (data: Buffer) => (said += data.toString()))
    const [code] = await once(child, 'close')
    assert.ok(code === 0 && !/ERROR|FATAL/.test(said), `pgloader: exit ${code}: ${said.slice(-500)}`)
  })
}

/** Runs `work`, and returns its seconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const since = performance.now()
  await work()
  return (performance.now() - since) / 1000
}

async function program(names: readonly string[], from: string): Promise<string> {
  const found = await locateProgram(names)
  if (found === undefined) throw new Error(`no ${names[0]} on this machine: apt-get install ${from}`)
  return found.program
}
