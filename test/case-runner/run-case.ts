import { loadConfig, type ResolvedConfig } from '@mylab-sync/config'
import { type EngineContext, listErrors, runDaemon, status } from '@mylab-sync/engine'
import { targetName } from '@mylab-sync/mapping'
import { createSource } from '@mylab-sync/source-mysql'
import { createTarget } from '@mylab-sync/target-postgres'
import type { ServerSet } from '@mylab-sync/testkit'
import pg from 'pg'
import { textRows } from '../support/content.js'
import { copyAll } from '../support/installation.js'
import { type Case, type ExpectedRule, type ExpectedTable, type Probe, suits } from './case-folder.js'
import { compareLists, compareRows, Different } from './compare.js'

/** Deadline for a running daemon to detect a change and copy the table again: 20 s plus the copy. */
const SETTLE_MS = 40_000
const LOOK_MS = 200
const DAEMON_MS = 1000
const OPTIONS = '-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=1 -c bytea_output=hex'

/** The servers and product that one case runs with. */
interface Run {
  readonly it: Case
  readonly context: EngineContext
  readonly app: Awaited<ReturnType<ServerSet['sourceAdmin']>>
  readonly reader: pg.Client
}

/**
 * One case between two fresh databases of this name: first copy, its expectations, then the changes below a running
 * daemon and theirs. Resolves with null, or with what the case requires where this source is not that.
 * Throws a Different that names the first difference.
 */
export async function runCase(servers: ServerSet, it: Case, name: string): Promise<string | null> {
  await servers.createDatabases({ source: name, target: name })
  const app = await servers.sourceAdmin(name)
  try {
    const [[version] = []] = await textRows(app, 'SELECT VERSION()')
    const { requires } = it.expect
    if (requires && !suits(requires, version ?? '')) return requires
    await app.query(it.source)
    if (it.target !== null) {
      const owner = await servers.targetOwner(name)
      await owner.query(it.target).finally(() => owner.end())
    }
    await between(servers, { name, it, app })
    return null
  } finally {
    await app.end()
  }
}

async function between(
  servers: ServerSet,
  { name, it, app }: { readonly name: string; readonly it: Case; readonly app: Run['app'] },
): Promise<void> {
  const context = await contextOf(servers, name, it)
  try {
    const reader = await reading(servers, name)
    const run = { it, context, app, reader }
    try {
      const { listed } = await copyAll(context)
      await checkCopied(
        run,
        listed.map(({ table }) => table),
      )
      if (it.changes !== null) await followChanges(run, it.changes)
    } finally {
      await reader.end()
    }
  } finally {
    await context.target.close()
    await context.source.close()
  }
}

async function reading(servers: ServerSet, name: string): Promise<pg.Client> {
  const { host, port, user, password } = servers.target
  const client = new pg.Client({ host, port, user, password, database: name, options: OPTIONS })
  client.on('error', () => {})
  await client.connect()
  return client
}

async function contextOf(servers: ServerSet, name: string, it: Case): Promise<EngineContext> {
  const env = { ...servers.environment({ source: name, target: name, redis: false }), SYNC_USE_QUEUE: 'false' }
  const config = loadConfig({ env, directory: '/', ...(it.configFile === null ? {} : { file: it.configFile }) })
  const { socket, ...address } = config.source
  const { auditTable, instance } = config
  const source = await createSource({ ...address, ...(socket === null ? {} : { socket }), auditTable, instance })
  const target = await createTarget({ ...config.target, instance })
  return { source, target, options: optionsOf(config) }
}

function optionsOf({
  include,
  exclude,
  names,
  types,
  columns,
  memoryLimitMb,
  schemaChanges,
}: ResolvedConfig): EngineContext['options'] {
  const mapping = { names, types, columns }
  const verify = { share: 0, repair: 'report' } as const
  return {
    include,
    exclude,
    mapping,
    batchRows: null,
    copyConcurrency: 2,
    memoryMb: memoryLimitMb,
    schemaChanges,
    verify,
  }
}

async function checkCopied(run: Run, listed: readonly string[]): Promise<void> {
  const { copied, sanitised, quarantined, refused, probes } = run.it.expect
  await checkTables(run, 'copied', copied)
  if (sanitised) compareLists('sanitised', sanitised.map(ruleLine), (await sanitisedRules(run)).map(ruleLine))
  if (quarantined) await checkQuarantined(run, 'quarantined', quarantined)
  if (refused) compareLists('refused', refused, listed)
  for (const probe of probes ?? []) await checkProbe(run.reader, probe)
}

/** While a daemon runs that started before them: definitions read at its start must not hide the changes. */
async function followChanges(run: Run, changes: string): Promise<void> {
  const stop = new AbortController()
  const options = { intervalMs: DAEMON_MS, onInterval: () => {} }
  const daemon = runDaemon(run.context, options, stop.signal)
  let isRunning = true
  daemon.catch(() => (isRunning = false))
  try {
    await run.app.query(changes)
    const until = performance.now() + SETTLE_MS
    let difference: unknown
    do {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
      difference = await checkChanged(run).then(
        () => null,
        (error: unknown) => error,
      )
    } while (isRunning && difference instanceof Different && performance.now() < until)
    if (difference !== null && isRunning) throw difference
  } finally {
    stop.abort()
    await daemon
  }
}

async function checkChanged(run: Run): Promise<void> {
  const { changed, sanitisedAfterChanges, quarantinedAfterChanges } = run.it.expect
  const { pending } = await run.context.source.log.pending()
  if (pending > 0) throw new Different(`${pending} changes are pending`)
  await checkTables(run, 'changed', changed)
  if (sanitisedAfterChanges) {
    const found = await sanitisedRules(run)
    const lacks = sanitisedAfterChanges.filter(
      ({ table, column, rule, rows }) =>
        !found.some((one) => one.table === table && one.column === column && one.rule === rule && one.rows >= rows),
    )
    if (lacks.length > 0) compareLists('sanitisedAfterChanges', lacks.map(ruleLine), found.map(ruleLine))
  }
  if (quarantinedAfterChanges) await checkQuarantined(run, 'quarantinedAfterChanges', quarantinedAfterChanges)
}

async function checkTables(
  run: Run,
  phase: string,
  tables: Readonly<Record<string, ExpectedTable>> = {},
): Promise<void> {
  for (const [table, { types = {}, rows }] of Object.entries(tables)) {
    const where = `${phase} ${table}`
    const found = new Map(await columnTypes(run.reader, table))
    if (found.size === 0) throw new Different(`${where}: the target has no such table${await problemOf(run, table)}`)
    for (const [column, type] of Object.entries(types))
      if (found.get(column) !== type)
        throw new Different(
          `${where}: type of ${column}: expected ${type}, found ${found.get(column) ?? 'no such column'}`,
        )
    if (!rows) continue
    const columns = await sourceColumns(run, table)
    const missing = columns.find((column) => !found.has(column))
    if (missing !== undefined) throw new Different(`${where}: the target has no column ${missing}`)
    const list = columns.map((column) => `${pg.escapeIdentifier(column)}::text`).join(', ')
    const held = await textRows(run.reader, `SELECT ${list} FROM public.${pg.escapeIdentifier(table)}`)
    try {
      compareRows(where, columns, rows, held)
    } catch (error) {
      if (!(error instanceof Different)) throw error
      throw new Different(`${error.message}${await problemOf(run, table)}`)
    }
  }
}

/** The product's status of the table. */
async function problemOf({ context }: Run, table: string): Promise<string> {
  const { tables } = await status(context)
  const known = tables.find((each) => targetName(each.table) === table)
  return known ? ` (${known.state}${known.problem === null ? '' : `: ${known.problem}`})` : ''
}

async function columnTypes(reader: pg.Client, table: string): Promise<[string, string][]> {
  const { rows } = await reader.query<{ name: string; type: string }>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
      WHERE attrelid = (SELECT oid FROM pg_class WHERE relname = $1 AND relnamespace = 'public'::regnamespace)
        AND attnum > 0 AND NOT attisdropped`,
    [table],
  )
  return rows.map(({ name, type }) => [name, type])
}

/** Under their names in the target, in the source's order. */
async function sourceColumns({ app }: Run, table: string): Promise<string[]> {
  const columns = await textRows(
    app,
    'SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION',
  )
  return columns.filter(([name]) => targetName(name ?? '') === table).map(([, column]) => columnName(column ?? ''))
}

// What PostgreSQL keeps for itself.
const SYSTEM_COLUMN = /^(?:tableoid|xmin|xmax|cmin|cmax|ctid)$/

function columnName(column: string): string {
  return targetName(SYSTEM_COLUMN.test(column) ? `${column}_` : column)
}

async function sanitisedRules({ reader }: Run): Promise<ExpectedRule[]> {
  const sum = `SELECT table_name AS "table", column_name AS "column", rule, sum(rows)::int AS rows
     FROM mylab_sync.sync_sanitised GROUP BY 1, 2, 3`
  return (await reader.query<ExpectedRule & pg.QueryResultRow>(sum)).rows
}

function ruleLine({ table, column, rule, rows }: ExpectedRule): string {
  return `${table}.${column} ${rule}: ${rows}`
}

async function checkQuarantined(
  run: Run,
  where: string,
  expected: readonly { table: string; key: readonly string[] }[],
) {
  const errors = await listErrors(run.context, { tables: [], limit: 1000, history: false })
  const line = ({ table, key }: { table: string; key: readonly string[] }): string => `${table} ${JSON.stringify(key)}`
  compareLists(where, expected.map(line), [...new Set(errors.map(line))])
}

/** In a transaction that is rolled back. */
async function checkProbe(reader: pg.Client, { sql, rows, sqlstate }: Probe): Promise<void> {
  const where = `probe ${sql}`
  let found: (string | null)[][] = []
  let state: string | undefined
  await reader.query('BEGIN; SET LOCAL search_path = public')
  try {
    found = await textRows(reader, sql)
    await reader.query('SET CONSTRAINTS ALL IMMEDIATE')
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error
    state = error.code
  } finally {
    await reader.query('ROLLBACK')
  }
  if (state !== sqlstate)
    throw new Different(`${where}: expected ${sqlstate ?? 'no error'}, found ${state ?? 'no error'}`)
  if (rows) compareRows(where, found[0]?.map((_, at) => `column ${at + 1}`) ?? [], rows, found)
}
