import type { Refusal } from '@mylab-sync/core'
import { countKinds, type KindCount } from './not-carried.js'
import type { PlannedTable } from './planned-table.js'

/** The figures of a plan. Rows and bytes are the source's own estimates. */
export interface PlanSummary {
  readonly live: number
  readonly recopied: number
  readonly refused: number
  readonly leftOut: number
  readonly estimatedRows: number
  readonly estimatedBytes: number
  /** The largest tables by bytes, largest first. */
  readonly largest: readonly Pick<PlannedTable, 'table' | 'estimatedRows' | 'estimatedBytes'>[]
  readonly rules: readonly RuleCount[]
  readonly notCarried: readonly KindCount[]
}

/** A value rule and its outcome for a value, with the number of columns to which it can apply. */
export interface RuleCount {
  readonly rule: string
  readonly outcome: string
  readonly columns: number
  readonly tables: number
}

const LARGEST = 5

export function summaryOf({
  tables,
  refused,
  leftOut,
}: {
  readonly tables: readonly PlannedTable[]
  readonly refused: readonly Refusal[]
  readonly leftOut: readonly string[]
}): PlanSummary {
  const recopied = tables.filter(({ carried }) => carried === 'recopied').length
  const sum = (of: (table: PlannedTable) => number): number => tables.reduce((total, table) => total + of(table), 0)
  return {
    live: tables.length - recopied,
    recopied,
    refused: new Set(refused.map(({ table }) => table)).size,
    leftOut: leftOut.length,
    estimatedRows: sum((table) => table.estimatedRows),
    estimatedBytes: sum((table) => table.estimatedBytes),
    largest: tables
      .toSorted((a, b) => b.estimatedBytes - a.estimatedBytes || b.estimatedRows - a.estimatedRows)
      .slice(0, LARGEST)
      .map(({ table, estimatedRows, estimatedBytes }) => ({ table, estimatedRows, estimatedBytes })),
    rules: rules(tables),
    notCarried: countKinds(tables.flatMap(({ table, notCarried }) => notCarried.map((left) => ({ table, ...left })))),
  }
}

/** Counts columns and tables by rule and outcome, sorted by name. */
function rules(tables: readonly PlannedTable[]): RuleCount[] {
  const found = new Map<string, { count: RuleCount; tables: Set<string> }>()
  for (const { table, columns } of tables)
    for (const { rule, outcome } of columns.flatMap((column) => column.rules)) {
      const name = `${rule} ${outcome}`
      const known = found.get(name)?.tables ?? new Set()
      const columnsBefore = found.get(name)?.count.columns ?? 0
      known.add(table)
      found.set(name, { count: { rule, outcome, columns: columnsBefore + 1, tables: known.size }, tables: known })
    }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { count }]) => count)
}
