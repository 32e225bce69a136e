import type { SourceCatalog, SourceCheck, SourceColumn, SourceIndex, SourceTable, TableFault } from '@mylab-sync/core'
import { sourceError } from '../connection/errors.js'
import type { Session, TextRow } from '../connection/session.js'
import { withByteDefaults } from './byte-defaults.js'
import { isOlderPackages } from './older-package.js'
import { MARKER } from '../ddl/own-tables.js'
import type { SourceSettings } from '../settings.js'
import { column, isPeriodColumn } from './columns.js'
import { foreignKeys, type Grouped, grouped, hiddenActions } from './foreign-keys.js'
import { findFaults } from './faults.js'
import { catalogQueries, checksQuery, FEATURES_QUERY, indexFeatures, SERVER_QUERY, tableNamesQuery } from './queries.js'

/** The vendor and version of the connected server. */
export interface Server {
  readonly vendor: 'mariadb' | 'mysql'
  readonly version: string
}

export async function readServer(session: Session): Promise<Server> {
  const [row] = await session.rows(SERVER_QUERY)
  const version = row?.[0] ?? ''
  const vendor = /mariadb/i.test(`${version} ${row?.[1] ?? ''}`) ? 'mariadb' : 'mysql'
  return { vendor, version }
}

/** The names of all base tables but this product's; some may be the older package's. */
export async function readTableNames(session: Session, settings: SourceSettings): Promise<string[]> {
  return [...(await readComments(session, settings)).keys()]
}

/**
 * A query that also reads statistics makes MySQL 9.7 show its error about a table it cannot open as another table's comment,
 * and this product's tables are recognised by their comments.
 */
async function readComments(session: Session, settings: SourceSettings): Promise<ReadonlyMap<string, string>> {
  const rows = await session.definitions(tableNamesQuery(settings.database))
  const others = rows.filter((row) => !isOwn(row[0], row[1], settings))
  return new Map(others.map(([name, comment]) => [name ?? '', comment ?? '']))
}

function isOwn(
  name: string | null | undefined,
  comment: string | null | undefined,
  settings: Pick<SourceSettings, 'auditTable'>,
): boolean {
  return name === settings.auditTable || (comment ?? '').startsWith(MARKER)
}

/** The catalog without this product's tables, and the rows of the `columns` query by table, with them. */
export async function readCatalog(
  session: Session,
  settings: SourceSettings,
  options: { readonly tryTables: boolean } = { tryTables: false },
): Promise<{ readonly catalog: SourceCatalog; readonly columnRows: Grouped }> {
  const server = await readServer(session)
  const [features] = await session.rows(FEATURES_QUERY)
  const queries = catalogQueries(settings.database, indexFeatures(features))
  const checks =
    Number(features?.[0]) > 0 ? await session.definitions(checksQuery(settings.database, server.vendor)) : []
  const tables = await session.definitions(queries.tables)
  const keyColumns = await session.definitions(queries.foreignKeyColumns)
  const actions = await session.definitions(queries.foreignKeys)
  const parts: Parts = {
    columns: grouped(await session.definitions(queries.columns)),
    indexes: grouped(await session.definitions(queries.indexes)),
    keyColumns: grouped(keyColumns),
    keys: grouped([...actions, ...(await hiddenActions(session, settings.database, { keyColumns, actions }))]),
    checks: grouped(checks),
  }
  const comments = await readComments(session, settings)
  const listed = tables.filter(([name]) => comments.has(name ?? ''))
  const faults = await findFaults(session, namesToTry(listed, { columns: parts.columns, ...options }))
  const others = listed.map((row) => {
    const [name = ''] = row.map((value) => value ?? '')
    const own = { ...parts, comment: comments.get(name) ?? '', fault: faults.get(name) ?? null }
    return table(row, own, { ...server, database: settings.database })
  })
  const half = others.find(({ engine, fault }) => engine === '' && fault === null)
  if (half)
    throw sourceError('generation-changed', `table ${half.name} was listed only in part while its definition changed`)
  const older = new Set(others.filter((each) => isOlderPackages(each, settings)))
  const theirs: SourceTable[] = []
  for (const each of others) if (!older.has(each)) theirs.push(await withByteDefaults(session, each))
  const catalog: SourceCatalog = {
    vendor: server.vendor,
    version: server.version,
    database: settings.database,
    tables: theirs,
    olderPackage: [...older].map(({ name }) => name),
  }
  return { catalog, columnRows: parts.columns }
}

interface Parts {
  readonly columns: Grouped
  readonly indexes: Grouped
  readonly keyColumns: Grouped
  readonly keys: Grouped
  readonly checks: Grouped
}

interface Own {
  readonly comment: string
  readonly fault: TableFault | null
}

const JSON_CHECK = /^\(?json_valid\(`((?:[^`]|``)+)`\)\)?$/i

/**
 * MariaDB shows no engine and no key of a table it cannot open. Taken as a definition, that would be carried, or a carried
 * table would count as altered.
 */
function namesToTry(
  tables: readonly TextRow[],
  { columns, tryTables }: { readonly columns: Grouped; readonly tryTables: boolean },
): string[] {
  const isHalf = ([name, engine]: TextRow): boolean => engine === null || !columns.has(name ?? '')
  return tables.filter((row) => tryTables || isHalf(row)).map(([name]) => name ?? '')
}

function table(row: TextRow, parts: Parts & Own, place: Server & { readonly database: string }): SourceTable {
  const name = row[0] ?? ''
  const columnRows = parts.columns.get(name) ?? []
  const checkRows = parts.checks.get(name) ?? []
  const json = new Set(
    checkRows.flatMap(([, , clause]) => JSON_CHECK.exec(clause ?? '')?.[1]?.replaceAll('``', '`') ?? []),
  )
  const period = new Set(columnRows.filter(isPeriodColumn).map((entry) => entry[1] ?? ''))
  const indexes = indexesOf(parts.indexes.get(name) ?? [], period)
  const primary = indexes.find((index) => index.name === 'PRIMARY')
  const columns: SourceColumn[] = columnRows.map((entry) => column(entry, place.vendor, json.has(entry[1] ?? '')))
  return {
    name,
    engine: row[1] ?? '',
    systemVersioned: row[2] === 'SYSTEM VERSIONED',
    columns,
    primaryKey: primary === undefined ? null : primary.parts.flatMap((part) => part.column ?? []),
    indexes: indexes.filter((index) => index !== primary),
    foreignKeys: foreignKeys(parts.keyColumns.get(name) ?? [], parts.keys.get(name) ?? [], place.database),
    checks: checkRows
      .filter(([, , clause]) => !JSON_CHECK.test(clause ?? ''))
      .map((entry): SourceCheck => ({ name: entry[1] ?? '', expression: entry[2] ?? '' })),
    comment: parts.comment,
    estimatedRows: Number(row[4] ?? 0),
    estimatedBytes: Number(row[5] ?? 0),
    fault: parts.fault,
  }
}

/** The server appends the period's end to the keys of a system-versioned table; current rows are unique without it. */
function indexesOf(rows: readonly TextRow[], period: ReadonlySet<string>): SourceIndex[] {
  return [...grouped(rows, 1)].map(([name, group]) => ({
    name,
    unique: group[0]?.[2] === '0',
    visible: group[0]?.[7] === '1',
    kind: indexKind(group[0]?.[6] ?? ''),
    parts: group
      .filter((part) => !period.has(part[3] ?? ''))
      .map((part) => ({
        column: part[3] ?? null,
        prefix: part[4] === null || part[4] === undefined ? null : Number(part[4]),
        descending: part[5] === 'D',
      })),
  }))
}

function indexKind(type: string): SourceIndex['kind'] {
  const kind = type.toLowerCase()
  if (kind === 'btree' || kind === 'fulltext' || kind === 'spatial') return kind
  // HASH indexes of MEMORY tables have no order, but enforce uniqueness.
  return 'other'
}
