import type {
  ColumnMapping,
  Passage,
  Refusal,
  SourceColumn,
  SourceTable,
  TableMapping,
  TargetTableName,
} from '@mylab-sync/core'
import { type ColumnRefusal, isRefusal, type TypeRule, typeRule } from './columns.js'
import { keyObstacle, keyOf } from './keys.js'
import { targetName } from './names.js'
import { digestRule } from './digests/digest-rules.js'
import { columnRules, type MappingOptions, invalidRule } from './options.js'
import { References, syncKey } from './references.js'
import type { ValueContext } from './value-rules.js'

/** Maps tables to the target and lists those that cannot be carried. Keys of `mapped` are source names. */
export function mapTables(
  tables: readonly SourceTable[],
  options: MappingOptions,
): { mapped: Map<string, TableMapping>; refused: Refusal[] } {
  const references = new References(tables)
  const mapped = new Map<string, TableMapping>()
  const refused: Refusal[] = []
  for (const table of tables) {
    const result = mapTable(table, references, options)
    if (Array.isArray(result)) refused.push(...result)
    else mapped.set(table.name, result)
  }
  for (const table of sameTargetName([...mapped.values()])) {
    mapped.delete(table.source.name)
    refused.push({
      table: table.source.name,
      column: null,
      reason: `another table has the target name ${table.name} too`,
      remedy: 'use names: keep, exclude one of the tables, or rename it',
    })
  }
  return { mapped, refused }
}

function sameTargetName(tables: readonly TableMapping[]): TableMapping[] {
  const counts = new Map<string, number>()
  for (const { name } of tables) counts.set(name, (counts.get(name) ?? 0) + 1)
  return tables.filter(({ name }) => (counts.get(name) ?? 0) > 1)
}

function sameColumnName(columns: readonly ColumnMapping[]): ColumnMapping[] {
  const names = new Set<string>()
  return columns.filter(({ name }) => names.size === names.add(name).size)
}

/** A column named like a PostgreSQL system column gets a name that no other column of the table has. */
function columnName(column: SourceColumn, table: SourceTable, lower: boolean): string {
  let name = targetName(column.name, { lower, column: true })
  if (name === targetName(column.name, { lower })) return name
  while (table.columns.some((other) => targetName(other.name, { lower }) === name)) name += '_'
  return name
}

function mapTable(table: SourceTable, references: References, options: MappingOptions): TableMapping | Refusal[] {
  if (table.fault !== null) return [{ table: table.name, column: null, ...table.fault }]
  const refused: Refusal[] = []
  const columns: ColumnMapping[] = []
  const refuse = (column: SourceColumn, reason: string, remedy: string): void => {
    refused.push({ table: table.name, column: column.name, reason, remedy })
  }
  for (const column of table.columns) {
    const result = mapColumn(table, column, { references, options })
    if (isRefusal(result)) refuse(column, result.reason, result.remedy)
    else columns.push(result)
  }
  for (const column of sameColumnName(columns))
    refuse(column.source, `another column has the target name ${column.name} too`, 'rename one of the columns')
  const key = syncKey(table)?.columns ?? null
  const keyColumns = (key ?? []).flatMap((name) => columns.filter(({ source }) => source.name === name))
  for (const column of keyColumns) {
    const obstacle = keyObstacle(column)
    if (obstacle !== null) refuse(column.source, obstacle, 'exclude the table, or give it another primary key')
  }
  if (refused.length > 0) return refused
  return {
    source: table,
    name: targetName(table.name, { lower: options.names === 'lower' }) as TargetTableName,
    columns,
    key: key === null ? null : keyOf(table.name, columns, key),
  }
}

interface Surroundings {
  readonly references: References
  readonly options: MappingOptions
}

function mapColumn(
  table: SourceTable,
  column: SourceColumn,
  { references, options }: Surroundings,
): ColumnMapping | ColumnRefusal {
  const own = columnRules(options, table.name, column)
  const wrong = invalidRule(own)
  if (wrong !== null) {
    return {
      reason: `option ${wrong} has an invalid value`,
      remedy: 'see the value rules in docs/types.md',
    }
  }
  const role = references.role(table, column)
  const followed = columnRules(options, role.follows.table.name, role.follows.column)
  const { type: _, ...rules } = followed
  const context: ValueContext = {
    column: column.name,
    strict: role.strict,
    inKey: role.inKey,
    nullable: role.follows.column.nullable,
    rules: own.type === undefined ? rules : { ...rules, type: own.type },
  }
  const rule = typeRule(column, context)
  if (isRefusal(rule)) return rule
  const convert = rule.convert ?? null
  return {
    source: column,
    name: columnName(column, table, options.names === 'lower'),
    type: rule.type,
    castType: rule.castType ?? rule.type,
    notNull: role.inKey || (!column.nullable && rule.mayBecomeNull !== true),
    collateC: role.inKey && (rule.type === 'text' || rule.type.startsWith('character varying')),
    read: rule.read ?? 'plain',
    convert,
    passage: passageOf(rule),
    standIn: rule.standIn ?? null,
    digest: digestRule(column, rule.type, convert),
  }
}

function passageOf({ passage, convert }: TypeRule): Passage {
  return passage ?? { kind: convert === undefined || convert === null ? 'same' : 'convert' }
}
