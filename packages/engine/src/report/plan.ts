import type { ColumnMapping, OtherObjects, Refusal, TableMapping, TableObjects } from '@mylab-sync/core'
import { valueOutcomes } from '@mylab-sync/mapping'
import type { EngineContext } from '../context.js'
import { modelWith } from '../model/load.js'
import { isTransactional, type Model } from '../model/model.js'
import { filterOf } from '../model/selection.js'
import { targetDefinition } from '../model/target-definition.js'
import { edgeOf, notCarriedOf, whyNoForeignKey } from './not-carried.js'
import { type PlanSummary, summaryOf } from './plan-summary.js'
import { problemIn } from '../tables/set-aside.js'
import type { PlannedColumn, PlannedForeignKey, PlannedTable } from './planned-table.js'

export interface Plan {
  readonly summary: PlanSummary
  readonly tables: readonly PlannedTable[]
  readonly refused: readonly Refusal[]
  /** Existing tables of the target that may not keep rows as given, or that have triggers. */
  readonly hindrances: readonly PlannedHindrance[]
  /** Parents that get triggers, but no table in the target. */
  readonly captureOnly: readonly string[]
  /** Tables of the database that include and exclude leave out. */
  readonly leftOut: readonly string[]
  /** Tables that belong to the older package. */
  readonly olderPackage: readonly string[]
  /** Objects of the database beside its tables. */
  readonly notCarried: OtherObjects['counts']
  readonly notVisible: OtherObjects['notVisible']
  readonly notListed: OtherObjects['notListed']
  readonly sql: {
    /** Statements for the target, in the order in which a first copy runs them. */
    readonly target: readonly string[]
    /** Statements for the source, in order: session settings, our tables, triggers. */
    readonly source: readonly string[]
  }
}

export interface PlannedHindrance {
  readonly table: string
  /** Why the table cannot keep its rows, and what to run first; null: no obstacle is known. */
  readonly problem: string | null
  /** Names of its enabled triggers. Without `--take-over` they are a reason to refuse the table. */
  readonly triggers: readonly string[]
}

/** Returns what `initial` would do with these tables. Only reads both sides. */
export async function plan(context: EngineContext, patterns: readonly string[]): Promise<Plan> {
  const model = await modelWith(context, patterns)
  const selected = model.select(patterns)
  const wanted = filterOf(patterns)
  const known = new Set([...model.tables.keys(), ...model.refused.map(({ table }) => table)])
  const others = await context.source.catalog.otherObjects()
  const tables = selected.map((table) => plannedTable(model, table, others))
  const refused = model.refused.filter(({ table }) => wanted(table))
  const leftOut =
    patterns.length > 0 ? [] : model.catalog.tables.map(({ name }) => name).filter((name) => !known.has(name))
  return {
    summary: summaryOf({ tables, refused, leftOut }),
    tables,
    refused,
    hindrances: (await context.target.tables.hindrances(selected.map((table) => model.mapping(table)))).map(
      ({ table, broken, triggers }) => ({ table, problem: broken && problemIn(broken), triggers }),
    ),
    captureOnly: model.captureOnly,
    leftOut,
    olderPackage: model.catalog.olderPackage,
    notCarried: others.counts,
    notVisible: others.notVisible,
    notListed: others.notListed,
    sql: {
      target: context.target.tables.statements(selected.map((table) => targetDefinition(model, table))),
      source: context.source.capture.statements(model.triggerTargets(new Set(selected)), 'everything'),
    },
  }
}

function plannedTable(model: Model, table: string, others: OtherObjects): PlannedTable {
  const mapping = model.mapping(table)
  const { source, key } = mapping
  const objects = model.objects(table)
  return {
    table,
    targetName: mapping.name,
    estimatedRows: source.estimatedRows,
    estimatedBytes: source.estimatedBytes,
    carried: model.isFullTable(table) ? 'recopied' : 'live',
    why: whyWhole(mapping),
    key: key?.columns.map(({ column }) => column.source.name) ?? null,
    columns: mapping.columns.map((column) => plannedColumn(column, defaultOf(column, objects))),
    foreignKeys: foreignKeys(model, mapping),
    indexes: objects.indexes.map(({ name, unique, parts }) => ({ name, unique, parts })),
    checks: objects.checks,
    identity: objects.identity,
    notCarried: notCarriedOf(model, table, others),
  }
}

/** Returns the default as the plan shows it. A sequence is shown without its schema, which is the target's. */
function defaultOf({ name }: ColumnMapping, { defaults, sequence }: TableObjects): string | null {
  if (sequence?.column === name) return `nextval('${sequence.name}')`
  return defaults.get(name) ?? null
}

function whyWhole({ source, key }: TableMapping): string | null {
  if (!isTransactional(source)) return `its engine is ${source.engine}`
  return key === null ? 'it has no primary key and no UNIQUE index of NOT NULL columns' : null
}

function plannedColumn(column: ColumnMapping, fallback: string | null): PlannedColumn {
  return {
    name: column.source.name,
    targetName: column.name,
    sourceType: column.source.columnType,
    type: column.type,
    notNull: column.notNull,
    default: fallback,
    rules: valueOutcomes(column),
  }
}

function foreignKeys(model: Model, { source }: TableMapping): PlannedForeignKey[] {
  return source.foreignKeys.map((key) => {
    const edge = edgeOf(model, source, key)
    return {
      name: edge?.name ?? key.name,
      columns: key.columns,
      parent: key.parentDatabase === null ? key.parent : `${key.parentDatabase}.${key.parent}`,
      parentColumns: key.parentColumns,
      onDelete: key.onDelete,
      onUpdate: key.onUpdate,
      notCarried: whyNoForeignKey(edge, key),
    }
  })
}
