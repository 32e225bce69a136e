import {
  isActionEdge,
  type SourceColumn,
  type SourceForeignKey,
  type SourceIndex,
  type SourceTable,
} from '@mylab-sync/core'
import { findNamed } from './names.js'

/** A column and its table. */
export interface ColumnPlace {
  readonly table: SourceTable
  readonly column: SourceColumn
}

/** What its role in keys and foreign keys demands of a column's values. */
export interface ColumnRole {
  readonly inKey: boolean
  readonly strict: boolean
  /** The column at the end of the chain of references that starts here; the column itself if it references none. */
  readonly follows: ColumnPlace
}

/** Roles of every column of the given tables. */
export class References {
  readonly #tables: readonly SourceTable[]
  readonly #keys = new Map<SourceTable, readonly string[]>()
  readonly #parents = new Map<SourceColumn, ColumnPlace>()
  readonly #strict = new Set<SourceColumn>()

  constructor(tables: readonly SourceTable[]) {
    this.#tables = tables
    for (const table of tables) this.#addTable(table)
  }

  /** The role of a column of one of the tables. */
  role(table: SourceTable, column: SourceColumn): ColumnRole {
    const follows = this.#end({ table, column })
    const inKey = this.#keys.get(table)?.includes(column.name) ?? false
    return { inKey, strict: this.#strict.has(column) || this.#strict.has(follows.column), follows }
  }

  #addTable(table: SourceTable): void {
    const key = syncKey(table)
    this.#keys.set(table, key?.columns ?? [])
    for (const name of key?.columns ?? []) this.#mark(findColumn(table, name))
    for (const foreignKey of table.foreignKeys) this.#addForeignKey(table, foreignKey)
  }

  #addForeignKey(table: SourceTable, foreignKey: SourceForeignKey): void {
    const action = isActionEdge(foreignKey)
    const parent = foreignKey.parentDatabase === null ? findTable(this.#tables, foreignKey.parent) : undefined
    for (const [at, name] of foreignKey.columns.entries()) {
      const child = findColumn(table, name)
      const referenced = parent && findColumn(parent, foreignKey.parentColumns[at] ?? '')
      if (action) this.#mark(child, referenced)
      if (child && parent && referenced && !this.#parents.has(child))
        this.#parents.set(child, { table: parent, column: referenced })
    }
  }

  #mark(...columns: readonly (SourceColumn | undefined)[]): void {
    for (const column of columns) if (column) this.#strict.add(column)
  }

  #end(start: ColumnPlace): ColumnPlace {
    const seen = new Set([start.column])
    let end = start
    for (
      let next = this.#parents.get(end.column);
      next && !seen.has(next.column);
      next = this.#parents.get(end.column)
    ) {
      seen.add(next.column)
      end = next
    }
    return end
  }
}

/** A table by name: an exact match, else a case-insensitive one. */
export function findTable(tables: readonly SourceTable[], name: string): SourceTable | undefined {
  return findNamed(tables, name, (table) => table.name)
}

/** A column by name: an exact match, else a case-insensitive one. */
export function findColumn(table: SourceTable, name: string): SourceColumn | undefined {
  return findNamed(table.columns, name, (column) => column.name)
}

/** A table's row-level key: the primary key, else the first UNIQUE over whole NOT NULL columns. */
export function syncKey(
  table: SourceTable,
): { readonly columns: readonly string[]; readonly index: SourceIndex | null } | null {
  if (table.primaryKey !== null && table.primaryKey.length > 0)
    return { columns: ownNames(table, table.primaryKey), index: null }
  const index = table.indexes.find((candidate) => isKey(table, candidate))
  return index === undefined
    ? null
    : {
        columns: ownNames(
          table,
          index.parts.flatMap((part) => part.column ?? []),
        ),
        index,
      }
}

function ownNames(table: SourceTable, names: readonly string[]): string[] {
  return names.map((name) => findColumn(table, name)?.name ?? name)
}

/** The HASH indexes of MEMORY tables qualify; MariaDB's long HASH over text does not, since PostgreSQL could not index its values. */
function isKey(table: SourceTable, index: SourceIndex): boolean {
  if (!index.unique || (index.kind !== 'btree' && index.kind !== 'other') || index.parts.length === 0) return false
  return index.parts.every((part) => {
    const column = part.column === null ? undefined : findColumn(table, part.column)
    return part.prefix === null && column !== undefined && !column.nullable && !/text$|blob$/.test(column.dataType)
  })
}
