import { createHash } from 'node:crypto'
import { SyncError } from '@mylab-sync/core'
import { ER } from '../connection/error-numbers.js'
import { errorNumber } from '../connection/errors.js'
import type { Session, TextRow } from '../connection/session.js'
import type { Server } from '../catalog/catalog.js'
import { grouped } from '../catalog/foreign-keys.js'
import { isAtLeast } from '../preflight/check.js'
import * as sql from '../sql.js'
import { storageLike, StorageNames } from './storage-names.js'

/** InnoDB encodes names as file names: `@0020` for a blank. Only the server has the complete table. */
const decoded = (part: string): string =>
  `CAST(CONVERT(CAST(REPLACE(${part}, '@@@', '') AS BINARY) USING filename) AS CHAR CHARACTER SET utf8mb4)`

/** MariaDB and MySQL 5.7 offer the character set `filename`, and have the older names of the views. */
function lendsFilenames(server: Server): boolean {
  return server.vendor === 'mariadb' || server.version.startsWith('5.')
}

interface Views {
  readonly tables: string
  readonly foreign: string
  readonly columns: string
}

function views(server: Server): Views {
  const prefix = lendsFilenames(server) ? 'information_schema.INNODB_SYS_' : 'information_schema.INNODB_'
  return { tables: `${prefix}TABLES`, foreign: `${prefix}FOREIGN`, columns: `${prefix}FOREIGN_COLS` }
}

/** As InnoDB encodes it. Comparing with this is ten times faster than decoding each of possibly thousands of names. */
const encoded = (database: string, table: string): string =>
  `CONCAT(CAST(CONVERT(${sql.text(database)} USING filename) AS BINARY), '/', CAST(CONVERT(${sql.text(table)} USING filename) AS BINARY))`

/** Rows of one table, including its partitions, and of others if its name contains a wildcard. `@@@` follows names like `aux`. */
function ofTable(column: string, database: string, only: string | null): string {
  if (only === null) return ''
  const name = encoded(database, only)
  const stored = `CAST(${column} AS BINARY)`
  return ` AND (${stored} IN (${name}, CONCAT(${name}, '@@@')) OR ${stored} LIKE CONCAT(${name}, '#%') OR ${stored} LIKE CONCAT(${name}, '@@@#%'))`
}

function storageQuery(view: Views, database: string, only: string | null): string {
  return `SELECT ${decoded(`SUBSTRING_INDEX(SUBSTRING_INDEX(NAME, '/', -1), '#', 1)`)}, TABLE_ID, N_COLS, NAME FROM ${view.tables}
    WHERE ${decoded(`SUBSTRING_INDEX(NAME, '/', 1)`)} = ${sql.text(database)}${ofTable('NAME', database, only)} ORDER BY TABLE_ID`
}

function foreignQuery(view: Views, database: string, only: string | null): string {
  return `SELECT ${decoded(`SUBSTRING_INDEX(FOR_NAME, '/', -1)`)}, ID, REF_NAME, TYPE FROM ${view.foreign}
    WHERE ${decoded(`SUBSTRING_INDEX(FOR_NAME, '/', 1)`)} = ${sql.text(database)}${ofTable('FOR_NAME', database, only)} ORDER BY ID`
}

/**
 * A row per foreign key and column: table, id, parent, type, and the names of both columns. The views have no index, so that a join of the two compares each with
 * each: 254 keys took 8 ms joined, and take 1 ms read apart (MariaDB 10.11). A key that is made between the two reads is
 * missing until the next one.
 */
function foreignFacts(keys: readonly TextRow[], columnRows: readonly TextRow[]): TextRow[] {
  const columns = grouped(columnRows)
  return keys.flatMap((key) => (columns.get(key[1] ?? '') ?? []).map(([, ...names]) => [...key, ...names]))
}

const foreignColumnsQuery = (view: Views): string =>
  `SELECT ID, FOR_COL_NAME, REF_COL_NAME FROM ${view.columns} ORDER BY ID, POS`

function plainQueries(database: string, only: string | null): readonly [string, string] {
  const schema = sql.text(database)
  const named = (column: string): string => (only === null ? '' : ` AND ${column} = ${sql.text(only)}`)
  return [
    `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${schema} AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')${named('TABLE_NAME')}`,
    `SELECT k.TABLE_NAME, k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.DELETE_RULE, r.UPDATE_RULE
     FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r
       ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME
     WHERE k.TABLE_SCHEMA = ${schema} AND k.REFERENCED_TABLE_NAME IS NOT NULL${named('k.TABLE_NAME')} ORDER BY k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION`,
  ]
}

/** The storage engine's facts about a table and its foreign keys. */
export interface Storage {
  readonly digest: string
  /** The digest changes with every change of the columns, even one that leaves their definition the same. */
  readonly isExact: boolean
}

/**
 * Table ids are current, whatever the snapshot. So are foreign keys, but on MySQL 8 and later they are as of the snapshot, whose
 * rows no later key has changed. With `only`, reads that table alone. Names folded to lower case by a setting compare as stored.
 */
export async function readStorage(session: Session, server: Server, place: Place): Promise<Map<string, Storage>> {
  const { database, only } = place
  try {
    const view = views(server)
    if (!lendsFilenames(server)) return await dictionary(session, server, place)
    const [storage = [], names = [], keys = [], columns = []] = await session.several([
      storageQuery(view, database, only),
      namesQuery(place),
      foreignQuery(view, database, only),
      foreignColumnsQuery(view),
    ])
    const known = new Set(storage.map(([table]) => table ?? ''))
    const facts = [...others(names, known), ...storage, ...foreignFacts(keys, columns)]
    // MySQL 5.7 rebuilds a table for each change that an instant one would make.
    return digested(facts, server.vendor === 'mysql' ? known : new Set())
  } catch (error) {
    if (!isHidden(error)) throw error
    const [names, foreign] = plainQueries(database, only)
    return digested([...(await session.definitions(names)), ...(await session.definitions(foreign))], new Set())
  }
}

/** Whether the storage's own numbers can be read: this needs PROCESS, and a server that has them. */
export async function seesStorage(session: Session, server: Server): Promise<boolean> {
  try {
    await session.rows(`SELECT TABLE_ID FROM ${views(server).tables} LIMIT 1`)
    return true
  } catch (error) {
    if (isHidden(error)) return false
    throw error
  }
}

function isHidden(error: unknown): boolean {
  const number = errorNumber(error) ?? 0
  if (number === ER.UNKNOWN_TABLE) return true
  return error instanceof SyncError && error.code === 'missing-right'
}

/** For MySQL 8 and later, whose views of foreign keys read the dictionary and open no table. */
async function dictionary(session: Session, server: Server, place: Place): Promise<Map<string, Storage>> {
  const like = `${storageLike(place.database)}/${place.only === null ? '' : storageLike(place.only)}%`
  const stored = await session.rows(
    `SELECT NAME, TABLE_ID, N_COLS${instantCounter(server)} FROM ${views(server).tables} WHERE NAME LIKE ${sql.text(like)} ORDER BY TABLE_ID`,
  )
  const all = others(await session.rows(namesQuery(place)), new Set())
  const names = new StorageNames(
    place.database,
    all.map(([table]) => table ?? ''),
  )
  const storage = stored.flatMap(([name, ...facts]) =>
    names.tablesOf(name ?? '').map((table) => [table, ...facts, name ?? '']),
  )
  const known = new Set(storage.map(([table]) => table ?? ''))
  const [, foreign] = plainQueries(place.database, place.only)
  const rest = all.filter(([table]) => !known.has(table ?? ''))
  return digested([...rest, ...storage, ...(await session.rows(foreign))], known)
}

/** The column that counts instant changes, which keep the table id: https://dev.mysql.com/doc/refman/8.0/en/information-schema-innodb-tables-table.html */
function instantCounter(server: Server): string {
  if (isAtLeast(server, [8, 0, 29])) return ', TOTAL_ROW_VERSIONS'
  return isAtLeast(server, [8, 0, 12]) ? ', INSTANT_COLS' : ''
}

export interface Place {
  readonly database: string
  readonly only: string | null
}

function namesQuery({ database, only }: Place): string {
  const named = only === null ? '' : ` AND TABLE_NAME = ${sql.text(only)}`
  return `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${sql.text(database)}${named}`
}

/** Tables of other engines have no id, so only their existence counts; reading only names opens no table. */
function others(names: readonly TextRow[], known: ReadonlySet<string>): TextRow[] {
  return names.filter(([table]) => !known.has(table ?? '')).map(([table]) => [table ?? '', 'other'])
}

function digested(rows: readonly TextRow[], exact: ReadonlySet<string>): Map<string, Storage> {
  const digests = digestsByTable(rows)
  return new Map([...digests].map(([table, digest]) => [table, { digest, isExact: exact.has(table) }]))
}

/** One digest per table, over everything after the name in its rows, in their order. */
export function digestsByTable(rows: readonly TextRow[]): Map<string, string> {
  const hashes = new Map<string, ReturnType<typeof createHash>>()
  for (const [table, ...facts] of rows) {
    const hash = hashes.get(table ?? '') ?? createHash('sha256')
    hashes.set(table ?? '', hash.update(JSON.stringify(facts)))
  }
  return new Map([...hashes].map(([table, hash]) => [table, hash.digest('hex').slice(0, 16)]))
}
