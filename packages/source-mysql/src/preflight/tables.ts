import type { SourceTable } from '@mylab-sync/core'
import * as sql from '../sql.js'
import { type Check, finding, isAtLeast, someOf } from './check.js'

/** A readable number of statements. */
const MAX_STATEMENTS = 5

/** Triggers on such tables could lose entries, or fail the application's statement under GTID (error 1785), so they get none. */
export const engines: Check = ({ tables }) => {
  const other = tables.filter((table) => table.engine.toLowerCase() !== 'innodb')
  if (other.length === 0) return []
  const names = other.map((table) => `${table.name} (${table.engine})`)
  return [
    finding(
      'warning',
      'source-engine',
      `${someOf(names, 20)}: not InnoDB, so without triggers; copied again as a whole when the content has changed, and not consistent with the other tables`,
      statements(other.map(({ name }) => `ALTER TABLE ${sql.name(name)} ENGINE = InnoDB;`)),
    ),
  ]
}

/**
 * Without a key no row can be addressed. `INSERT INTO t VALUES (..)` and `SELECT *` skip an invisible column, so adding one
 * does not affect the application.
 */
export const keys: Check = ({ mappings, server }) => {
  const keyless = mappings.filter(({ key }) => key === null).map(({ source }) => source)
  if (keyless.length === 0) return []
  return [
    finding(
      'warning',
      'source-keyless-table',
      `${someOf(
        keyless.map((table) => table.name),
        20,
      )}: no primary key and no UNIQUE index of NOT NULL columns, so every change re-reads and compares the whole table`,
      statements(keyless.map((table) => addKey(table, isAtLeast(server, INVISIBLE[server.vendor])))) +
        ' (or a primary key of its own columns)',
    ),
  ]
}

/** The first versions with invisible columns. */
const INVISIBLE = { mariadb: [10, 3, 3], mysql: [8, 0, 23] } as const

function addKey({ name, columns }: SourceTable, invisible: boolean): string {
  const taken = (wanted: string): boolean => columns.some((column) => column.name.toLowerCase() === wanted)
  let column = 'sync_id'
  while (taken(column)) column += '_'
  const counter = `BIGINT UNSIGNED NOT NULL AUTO_INCREMENT${invisible ? ' INVISIBLE' : ''}`
  return `ALTER TABLE ${sql.name(name)} ADD COLUMN ${column} ${counter}, ADD PRIMARY KEY (${column});`
}

function statements(all: readonly string[]): string {
  const rest = all.length - MAX_STATEMENTS
  return all.slice(0, MAX_STATEMENTS).join(' ') + (rest > 0 ? ` and so on for ${rest} more` : '')
}
