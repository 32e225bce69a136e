import type { ColumnMapping, Edge, Refusal, SourceCatalog, TableMapping, TargetDefinition } from '@mylab-sync/core'
import { valueOutcomes } from '@mylab-sync/mapping'
import type { EngineContext } from './context.js'
import { isTransactional, matches, type Model, modelWith } from './model.js'

export interface PlannedColumn {
  readonly name: string
  readonly targetName: string
  readonly sourceType: string
  readonly type: string
  readonly notNull: boolean
  readonly default: string | null
  readonly rules: readonly { readonly rule: string; readonly outcome: string }[]
}

export interface PlannedForeignKey {
  readonly name: string
  readonly columns: readonly string[]
  readonly parent: string
  readonly parentColumns: readonly string[]
  /** What the source does to the child's rows; the target only checks. */
  readonly onDelete: string
  readonly onUpdate: string
  /** null: carried. */
  readonly notCarried: string | null
}

export interface PlannedTable {
  readonly table: string
  readonly targetName: string
  readonly estimatedRows: number
  readonly carried: 'live' | 'recopied'
  /** Why it is not carried row by row; null: it is. */
  readonly why: string | null
  readonly key: readonly string[] | null
  readonly columns: readonly PlannedColumn[]
  readonly foreignKeys: readonly PlannedForeignKey[]
  readonly indexes: readonly { readonly name: string; readonly unique: boolean; readonly parts: readonly string[] }[]
  readonly checks: readonly { readonly name: string; readonly expression: string }[]
  readonly identity: string | null
  readonly notCarried: readonly { readonly object: string; readonly reason: string }[]
}

export interface Plan {
  readonly tables: readonly PlannedTable[]
  readonly refused: readonly Refusal[]
  /** Parents that get triggers and no table in the target. */
  readonly captureOnly: readonly string[]
  /** Tables of the database that include and exclude leave out. */
  readonly leftOut: readonly string[]
  /** The older package's own tables. */
  readonly olderPackage: readonly string[]
  readonly notCarried: SourceCatalog['notCarried']
  readonly sql: {
    /** For the target, in order; what a first copy builds. */
    readonly target: readonly string[]
    /** For the source, in order: session settings, our tables, triggers. */
    readonly source: readonly string[]
  }
}

/** What `initial` would make of these tables; both sides are only read. */
export async function plan(context: EngineContext, patterns: readonly string[]): Promise<Plan> {
  const model = await modelWith(context, patterns)
  const selected = model.select(patterns)
  const wanted = (table: string): boolean => patterns.length === 0 || matches(table, patterns)
  const known = new Set([...model.tables.keys(), ...model.refused.map(({ table }) => table)])
  return {
    tables: selected.map((table) => plannedTable(model, table)),
    refused: model.refused.filter(({ table }) => wanted(table)),
    captureOnly: model.captureOnly,
    leftOut: patterns.length > 0 ? [] : model.catalog.tables.map(({ name }) => name).filter((name) => !known.has(name)),
    olderPackage: model.catalog.olderPackage,
    notCarried: model.catalog.notCarried,
    sql: {
      target: context.target.statements(selected.map((table) => definition(model, table))),
      source: context.source.installStatements(model.triggerTargets(new Set(selected))),
    },
  }
}

/** A table as the target gets it once it is open; the order of its parts is that of a first copy. */
function definition(model: Model, table: string): TargetDefinition {
  const edges = model.edges.filter((edge) => edge.child === table)
  return {
    table: model.mapping(table),
    objects: model.objects(table),
    foreignKeyColumns: edges.map((edge) => edge.childKey.columns.map(({ column }) => column.source.name)),
    foreignKeys: edges
      .filter((edge) => !edge.captureOnlyParent)
      .map((edge) => ({ edge, parent: { table: model.mapping(edge.parent), objects: model.objects(edge.parent) } })),
  }
}

function plannedTable(model: Model, table: string): PlannedTable {
  const mapping = model.mapping(table)
  const { source, key } = mapping
  const objects = model.objects(table)
  return {
    table,
    targetName: mapping.name,
    estimatedRows: source.estimatedRows,
    carried: model.isWhole(table) ? 'recopied' : 'live',
    why: whyWhole(mapping),
    key: key?.columns.map(({ column }) => column.source.name) ?? null,
    columns: mapping.columns.map((column) => plannedColumn(column, objects.defaults.get(column.name) ?? null)),
    foreignKeys: foreignKeys(model, mapping),
    indexes: objects.indexes.map(({ name, unique, parts }) => ({ name, unique, parts })),
    checks: objects.checks,
    identity: objects.identity,
    notCarried: objects.notCarried,
  }
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
  const edges = model.edges.filter((edge) => edge.child === source.name)
  return source.foreignKeys.map((key) => {
    const edge = edges.find(
      (candidate) =>
        candidate.parent === key.parent &&
        candidate.childKey.columns.map(({ column }) => column.source.name.toLowerCase()).join() ===
          key.columns.map((column) => column.toLowerCase()).join(),
    )
    return {
      name: edge?.name ?? key.name,
      columns: key.columns,
      parent: key.parentDatabase === null ? key.parent : `${key.parentDatabase}.${key.parent}`,
      parentColumns: key.parentColumns,
      onDelete: key.onDelete,
      onUpdate: key.onUpdate,
      notCarried: whyNotCarried(edge, key.parentDatabase),
    }
  })
}

function whyNotCarried(edge: Edge | undefined, parentDatabase: string | null): string | null {
  if (parentDatabase !== null) return 'its parent is in another database'
  if (edge === undefined) return 'its parent is not carried, or its columns have types that do not compare'
  return edge.captureOnlyParent ? 'its parent is not carried' : null
}
