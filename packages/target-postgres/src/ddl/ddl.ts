import type { TableMapping } from '@mylab-sync/core'
import type { Database } from '../connection/database.js'
import * as sql from '../sql.js'
import { ConstraintLog } from './constraint-log.js'
import { MadeObjects } from './made-objects.js'

/** Shared by all classes that build and drop definitions of one target. Each works in short transactions of its own. */
export class Ddl {
  readonly database: Database
  /** Constraints that are not enforced as planned. */
  readonly log: ConstraintLog
  readonly made: MadeObjects

  constructor(database: Database) {
    this.database = database
    this.log = new ConstraintLog(database)
    this.made = new MadeObjects(database.settings.stateSchema)
  }

  /** The schema of the carried tables. */
  get schema(): string {
    return this.database.settings.schema
  }

  tableName(table: Pick<TableMapping, 'name'>): string {
    return sql.tableName(this.schema, table)
  }
}
