import {
  type ActingKey,
  type CutoverTable,
  type IndexPlan,
  isActionEdge,
  type ReferentialAction,
  SyncError,
} from '@mylab-sync/core'
import * as sql from '../sql.js'
import { addForeignKey } from '../ddl/statements.js'
import { placeOf, type StandingConstraint } from './standing.js'

/** The immediate index that takes a deferrable UNIQUE's place; built beside it while drains still go on. */
export function preparedName(index: Pick<IndexPlan, 'name'>): string {
  return sql.shortName(`${index.name}_now`)
}

const ACTION: Readonly<Record<ReferentialAction, string>> = {
  'NO ACTION': 'NO ACTION',
  // InnoDB checks both at once, as PostgreSQL does a NO ACTION that is not deferrable.
  RESTRICT: 'NO ACTION',
  CASCADE: 'CASCADE',
  'SET NULL': 'SET NULL',
  'SET DEFAULT': 'SET DEFAULT',
}

const NO_ACTIONS = 'aa'

/** The foreign key as the source has it. */
export function actingForeignKey(schema: string, { edge, child, parent, onDelete, onUpdate }: ActingKey): string {
  const [definition = ''] = addForeignKey(schema, edge, { child, parent }).split(' ON UPDATE ')
  return `${definition} ON UPDATE ${ACTION[onUpdate]} ON DELETE ${ACTION[onDelete]} NOT DEFERRABLE`
}

export interface Standing {
  readonly constraints: ReadonlyMap<string, StandingConstraint>
  readonly indexes: ReadonlyMap<string, { readonly isValid: boolean }>
}

/** Each repeats nothing that stands already. Throws SyncError target-table-differs if a constraint or its prepared index does not stand. */
export function hardenStatements(
  schema: string,
  tables: readonly CutoverTable[],
  { standing, withActions }: { readonly standing: Standing; readonly withActions: boolean },
): string[] {
  return tables.flatMap(({ table, objects, foreignKeys }) => {
    const target = sql.tableName(schema, table)
    const uniques = objects.indexes
      .filter(({ deferrable }) => deferrable)
      .flatMap((index) => {
        const held = standing.constraints.get(placeOf(table.name, index.name))
        if (held === undefined) throw missing(table.name, index.name)
        if (!held.isDeferrable) return []
        if (standing.indexes.get(placeOf(table.name, preparedName(index)))?.isValid !== true)
          throw missing(table.name, preparedName(index))
        const name = sql.name(index.name)
        return [
          `ALTER TABLE ${target} DROP CONSTRAINT ${name}`,
          `ALTER TABLE ${target} ADD CONSTRAINT ${name} UNIQUE USING INDEX ${sql.name(preparedName(index))}`,
        ]
      })
    const keys = foreignKeys.flatMap((key) => {
      const name = sql.name(key.edge.name)
      const held = standing.constraints.get(placeOf(table.name, key.edge.name))
      if (held === undefined) throw missing(table.name, key.edge.name)
      if (withActions && isActionEdge(key) && held.actions === NO_ACTIONS)
        return [`ALTER TABLE ${target} DROP CONSTRAINT ${name}`, `${actingForeignKey(schema, key)} NOT VALID`]
      return held.isDeferrable ? [`ALTER TABLE ${target} ALTER CONSTRAINT ${name} NOT DEFERRABLE`] : []
    })
    return [...uniques, ...keys]
  })
}

/** What drains cannot live with goes; control work builds it again as they need it. */
export function loosenStatements(
  schema: string,
  tables: readonly CutoverTable[],
  { constraints }: Pick<Standing, 'constraints'>,
): string[] {
  return tables.flatMap(({ table, objects, foreignKeys }) => {
    const target = sql.tableName(schema, table)
    const drop = (name: string): string => `ALTER TABLE ${target} DROP CONSTRAINT ${sql.name(name)}`
    const keys = foreignKeys.flatMap(({ edge: { name } }) => {
      const held = constraints.get(placeOf(table.name, name))
      if (held === undefined) return []
      if (held.actions !== NO_ACTIONS) return [drop(name)]
      return held.isDeferrable
        ? []
        : [`ALTER TABLE ${target} ALTER CONSTRAINT ${sql.name(name)} DEFERRABLE INITIALLY DEFERRED`]
    })
    const uniques = objects.indexes
      .filter(
        ({ deferrable, name }) => deferrable && constraints.get(placeOf(table.name, name))?.isDeferrable === false,
      )
      .map(({ name }) => drop(name))
    return [...keys, ...uniques]
  })
}

function missing(table: string, name: string): SyncError {
  return new SyncError('target-table-differs', `table ${table}: constraint ${name} does not stand`, {
    side: 'target',
    remedy: 'mylab-sync database --once builds what is missing; then mylab-sync cutover again',
  })
}
