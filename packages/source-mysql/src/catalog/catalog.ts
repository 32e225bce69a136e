import type { SourceCatalog, SourceCheck, SourceColumn, SourceIndex, SourceTable } from '@mylab-sync/core'
import type { Session, TextRow } from '../connection/session.js'
import { isOlderPackages } from './older-package.js'
import { MARKER } from '../ddl/own-tables.js'
import type { SourceSettings } from '../settings.js'
import { column, isPeriodColumn } from './columns.js'
import { foreignKeys, type Grouped, grouped, hiddenActions } from './foreign-keys.js'
import { catalogQueries, checksQuery, FEATURES_QUERY, SERVER_QUERY, tableNamesQuery } from './queries.js'

/** Vendor and version of the server behind a connection. */
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

/** Of all base tables but our own; some may be the older package's. */
export async function readTableNames(session: Session, settings: SourceSettings): Promise<string[]> {
  const rows = await session.definitions(tableNamesQuery(settings.database))
  return rows.filter((row) => !isOwn(row[0], row[1], settings)).map(([name]) => name ?? '')
}

function isOwn(
  name: string | null | undefined,
  comment: string | null | undefined,
  settings: Pick<SourceSettings, 'auditTable'>,
): boolean {
  return name === settings.auditTable || (comment ?? '').startsWith(MARKER)
}

/** Everything about the database's tables, our own left out, and the rows of the `columns` query by table, ours included. */
export async function readCatalog(
  session: Session,
  settings: SourceSettings,
): Promise<{ readonly catalog: SourceCatalog; readonly columnRows: Grouped }> {
  const server = await readServer(session)
  const [features] = await session.rows(FEATURES_QUERY)
  const queries = catalogQueries(settings.database, Number(features?.[1]) > 0)
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
  const others = tables
    .filter(([name, , , comment]) => !isOwn(name, comment, settings))
    .map((row) => table(row, parts, { ...server, database: settings.database }))
  const older = new Set(others.filter((each) => isOlderPackages(each, settings)))
  const catalog: SourceCatalog = {
    vendor: server.vendor,
    version: server.version,
    database: settings.database,
    tables: others.filter((each) => !older.has(each)),
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

const JSON_CHECK = /^\(?json_valid\(`((?:[^`]|``)+)`\)\)?$/i

function table(row: TextRow, parts: Parts, place: Server & { readonly database: string }): SourceTable {
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
    comment: row[3] ?? '',
    estimatedRows: Number(row[4] ?? 0),
    estimatedBytes: Number(row[5] ?? 0),
  }
}

/** The server adds the period's end to the keys of a system-versioned table; the current rows are unique without it. */
function indexesOf(rows: readonly TextRow[], period: ReadonlySet<string>): SourceIndex[] {
  return [...grouped(rows, 1)].map(([name, group]) => ({
    name,
    unique: group[0]?.[2] === '0',
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
  // MEMORY tables' HASH indexes order nothing but are as unique.
  return 'other'
}
