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
  /** Tables of the target that stand already and do more with rows than keep them. */
  readonly hindrances: readonly PlannedHindrance[]
  /** Parents that get triggers and no table in the target. */
  readonly captureOnly: readonly string[]
  /** Tables of the database that include and exclude leave out. */
  readonly leftOut: readonly string[]
  /** The older package's own tables. */
  readonly olderPackage: readonly string[]
  /** Objects of the database beside its tables. */
  readonly notCarried: OtherObjects['counts']
  readonly notVisible: OtherObjects['notVisible']
  readonly notListed: OtherObjects['notListed']
  readonly sql: {
    /** For the target, in order; what a first copy builds. */
    readonly target: readonly string[]
    /** For the source, in order: session settings, our tables, triggers. */
    readonly source: readonly string[]
  }
}

export interface PlannedHindrance {
  readonly table: string
  /** Why it cannot keep its rows, and what is to be run first; null: nothing is known against it. */
  readonly problem: string | null
  /** Names of its enabled triggers, without `--take-over` a reason to refuse it. */
  readonly triggers: readonly string[]
}

/** What `initial` would make of these tables; both sides are only read. */
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

/** As a reader of the plan knows it; the schema of a sequence is the target's. */
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
