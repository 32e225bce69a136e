import { createHash } from 'node:crypto'
import type { SourceTable, TableObjects } from '@mylab-sync/core'
import { targetName } from './names.js'
import type { MappingOptions } from './options.js'

/**
 * PostgreSQL has one namespace for the tables, indexes, keys and sequences of a schema: index `c` of table `a_b` and index
 * `b_c` of table `a` collide. Names are counted over all tables of the source, so that an index keeps its name whichever
 * tables are carried.
 */
export class RelationNames {
  readonly #wanted = new Map<string, number>()

  constructor(tables: readonly SourceTable[], options: MappingOptions) {
    const style = { lower: options.names === 'lower' }
    for (const { name, columns, indexes } of tables) {
      this.#want(targetName(name, style))
      const sequences = columns.filter((column) => column.autoIncrement).map((column) => `${column.name}_seq`)
      for (const own of ['pkey', 'sync_key', ...sequences, ...indexes.map((index) => index.name)])
        this.#want(targetName(`${name}_${own}`, style))
    }
  }

  #want(name: string): void {
    this.#wanted.set(name, (this.#wanted.get(name) ?? 0) + 1)
  }

  /** The same indexes and sequence, with another name for each that collides. */
  freed(table: string, objects: TableObjects): TableObjects {
    const indexes = objects.indexes.map((index) => ({
      ...index,
      name: this.#free(index.name, [table, index.columns, index.parts]),
    }))
    const { sequence } = objects
    const own = sequence && { ...sequence, name: this.#free(sequence.name, [table, sequence.column]) }
    return { ...objects, indexes, sequence: own }
  }

  #free(name: string, place: unknown): string {
    if ((this.#wanted.get(name) ?? 0) < 2) return name
    const hash = createHash('sha256').update(JSON.stringify(place)).digest('hex')
    return targetName(`${name}_${hash.slice(0, 8)}`)
  }
}
