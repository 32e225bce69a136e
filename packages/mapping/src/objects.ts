import type { CheckPlan, ColumnMapping, NotCarried, TableMapping, TableObjects } from '@mylab-sync/core'
import { translateCheck } from './checks.js'
import { defaultSql } from './defaults.js'
import { indexPlans } from './indexes.js'
import { isLowered, quotePg, quoteText, sameName, targetName } from './names.js'

/** What a table's objects depend on besides the table itself. */
export interface ObjectsContext {
  /** The source columns of this table that foreign keys reference, one list per key. */
  readonly referencedColumnSets: readonly (readonly string[])[]
}

/** Indexes, CHECKs, defaults and counter of a table in the target, and what is not carried. The primary key is excluded. */
export function tableObjects(mapping: TableMapping, context: ObjectsContext): TableObjects {
  const indexes = indexPlans(mapping, context.referencedColumnSets)
  const checks = checkPlans(mapping)
  const defaults = new Map<string, string>()
  const notCarried: NotCarried[] = [...indexes.notCarried, ...checks.notCarried]
  let identity: string | null = null
  let sequence: TableObjects['sequence'] = null
  for (const column of mapping.columns) {
    const { source } = column
    if (source.autoIncrement) {
      if (isIdentityType(column)) identity = column.name
      else sequence = { column: column.name, name: sequenceName(mapping, source.name) }
      continue
    }
    const outcome = defaultSql(column)
    if (outcome !== null && 'sql' in outcome) defaults.set(column.name, outcome.sql)
    else if (outcome !== null)
      notCarried.push({ kind: 'default', object: `DEFAULT of column ${source.name}`, reason: outcome.reason })
    if (source.onUpdate)
      notCarried.push({
        kind: 'on-update',
        object: `ON UPDATE of column ${source.name}`,
        reason: 'PostgreSQL has no ON UPDATE; after the cutover, use a trigger',
      })
  }
  return { indexes: indexes.plans, checks: checks.plans, defaults, identity, sequence, notCarried }
}

function isIdentityType(column: ColumnMapping): boolean {
  return column.type === 'smallint' || column.type === 'integer' || column.type === 'bigint'
}

/** The name that PostgreSQL gives an identity's sequence. */
function sequenceName(mapping: TableMapping, column: string): string {
  return targetName(`${mapping.source.name}_${column}_seq`, { lower: isLowered(mapping) })
}

function checkPlans(mapping: TableMapping): { plans: CheckPlan[]; notCarried: NotCarried[] } {
  const plans: CheckPlan[] = []
  const notCarried: NotCarried[] = []
  const nameOf = (own: string): string => targetName(`${mapping.source.name}_${own}`, { lower: isLowered(mapping) })
  for (const column of mapping.columns) {
    const { dataType, name, members } = column.source
    if (dataType !== 'enum' || members === null || column.type !== 'text') continue
    const labels = new Set(members.map((member) => member.replaceAll('\0', '')).concat(''))
    plans.push({
      name: nameOf(`${name}_check`),
      expression: `${quotePg(column.name)} IN (${[...labels].map(quoteText).join(', ')})`,
    })
  }
  for (const check of mapping.source.checks) {
    if (isJsonCheck(mapping, check.expression)) continue
    const expression = translateCheck(check.expression, mapping)
    if (expression === null)
      notCarried.push({
        kind: 'check',
        object: `CHECK ${check.name}`,
        reason: 'its expression cannot be translated',
      })
    else plans.push({ name: uniqueName(nameOf(check.name), plans), expression })
  }
  return { plans, notCarried }
}

/** The CHECK by which MariaDB declares a JSON column; the target's type already enforces it. */
function isJsonCheck({ columns }: TableMapping, expression: string): boolean {
  const name = /^\(*json_valid\s*\(`((?:[^`]|``)+)`\)+$/i.exec(expression)?.[1]?.replaceAll('``', '`')
  return name !== undefined && columns.some(({ source }) => source.json && sameName(source.name, name))
}

/** MariaDB names a column's own CHECK after the column. */
function uniqueName(name: string, plans: readonly CheckPlan[]): string {
  return plans.some((plan) => plan.name === name) ? targetName(`${name}_2`) : name
}
