import {
  batchesOf,
  type ConstraintState,
  type TableMapping,
  type TargetConstraints,
  type TargetTables,
  TargetTableUnfit,
} from '@mylab-sync/core'
import { inLanes } from '@mylab-sync/runtime'
import { codeOf } from '../errors.js'
import type { Ddl } from './ddl.js'
import { ForeignKeys } from './foreign-keys.js'
import { KeyIndexes } from './key-indexes.js'
import { together } from './short-locks.js'
import { createTable, createTablesIn } from './tables.js'

/** Created by one transaction, which locks what it creates: PostgreSQL's table of locks holds several thousand by default. */
const CREATED_TOGETHER = 25
/** PostgreSQL takes a processor for each transaction that creates tables. */
const LANES = 4
/** Plain indexes of one table that are built at the same time. */
const INDEXES_AT_ONCE = 2

/** Runs work on one table, and throws what its error means there. */
export type On = <T>(table: TableMapping, work: Promise<T>) => Promise<T>

/** Definitions of many tables in a few transactions. Where PostgreSQL refuses any, each table is worked on alone, by its own name. */
export function manyTables(
  ddl: Ddl,
  on: On,
): Pick<TargetTables, 'create'> & Pick<TargetConstraints, 'buildKeyIndexes' | 'buildForeignKeys'> {
  const { database } = ddl
  const keys = new KeyIndexes(ddl)
  const foreignKeys = new ForeignKeys(ddl)
  return {
    async create(definitions) {
      await inLanes(batchesOf(definitions, CREATED_TOGETHER), LANES, async (batch) => {
        const isMany = batch.length > 1
        if (isMany && (await together(database, (session) => createTablesIn(session, database, batch)))) return
        for (const each of batch) await on(each.table, createTable(database, each))
      })
    },
    async buildKeyIndexes(tables) {
      if (tables.length > 1 && (await keys.buildTogether(tables))) return
      for (const { table, foreignKeyColumns, plain } of tables) {
        await on(table, keys.buildKeyIndexes(table, foreignKeyColumns)).catch((error: unknown) => {
          // The copy that follows removes rows that the key's index rejects.
          const code = codeOf(error)
          throw /^(22|23|54)/.test(code) ? new TargetTableUnfit(table.source.name, code, error) : error
        })
        await inLanes(plain, INDEXES_AT_ONCE, (index) => on(table, keys.buildPlain(table, index)))
      }
    },
    async buildForeignKeys(wanted) {
      const built = await foreignKeys.buildTogether(wanted)
      const states: ConstraintState[] = []
      for (const each of wanted) states.push(built.get(each) ?? (await on(each.child, foreignKeys.build(each))))
      return states
    },
  }
}
