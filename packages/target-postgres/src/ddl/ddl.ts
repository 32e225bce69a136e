import type { TableMapping } from '@mylab-sync/core'
import type { Database } from '../connection/database.js'
import * as sql from '../sql.js'
import { ConstraintLog } from './constraint-log.js'
import { MadeObjects } from './made-objects.js'

/** What all who build and drop definitions of one target share. Each works in short transactions of its own. */
export class Ddl {
  readonly database: Database
  /** Constraints that are not held. */
  readonly log: ConstraintLog
  readonly made: MadeObjects

  constructor(database: Database) {
    this.database = database
    this.log = new ConstraintLog(database)
    this.made = new MadeObjects(database.settings.stateSchema)
  }

  /** Where the tables are that we carry. */
  get schema(): string {
    return this.database.settings.schema
  }

  tableName(table: Pick<TableMapping, 'name'>): string {
    return sql.tableName(this.schema, table)
  }
}
