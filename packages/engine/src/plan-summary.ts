import type { NotCarriedKind, Refusal } from '@mylab-sync/core'
import type { PlannedTable } from './planned-table.js'

/** A plan in figures. Rows and bytes are the source's own estimates. */
export interface PlanSummary {
  readonly live: number
  readonly recopied: number
  readonly refused: number
  readonly leftOut: number
  readonly estimatedRows: number
  readonly estimatedBytes: number
  /** By bytes, the largest first. */
  readonly largest: readonly Pick<PlannedTable, 'table' | 'estimatedRows' | 'estimatedBytes'>[]
  readonly rules: readonly RuleCount[]
  readonly notCarried: readonly KindCount[]
}

/** A value rule and what it makes of a value, with the number of columns to which it can apply. */
export interface RuleCount {
  readonly rule: string
  readonly outcome: string
  readonly columns: number
  readonly tables: number
}

export interface KindCount {
  readonly kind: NotCarriedKind
  readonly count: number
  readonly tables: number
  /** null: they have several. */
  readonly reason: string | null
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
    notCarried: kinds(tables),
  }
}

function rules(tables: readonly PlannedTable[]): RuleCount[] {
  const found = groups(tables, ({ columns }) => columns.flatMap((column) => column.rules), ruleName)
  return found.map(({ items: [first], count, tables: of }) => ({
    rule: first.rule,
    outcome: first.outcome,
    columns: count,
    tables: of,
  }))
}

function ruleName({ rule, outcome }: { readonly rule: string; readonly outcome: string }): string {
  return `${rule} ${outcome}`
}

function kinds(tables: readonly PlannedTable[]): KindCount[] {
  const found = groups(
    tables,
    (table) => table.notCarried,
    ({ kind }) => kind,
  )
  return found.map(({ items, count, tables: of }) => {
    const [{ kind, reason }] = items
    return { kind, count, tables: of, reason: items.every((item) => item.reason === reason) ? reason : null }
  })
}

interface Group<T> {
  readonly items: [T, ...T[]]
  count: number
  tables: number
}

/** The parts of all tables under one name each, sorted by it. */
function groups<T>(
  tables: readonly PlannedTable[],
  parts: (table: PlannedTable) => readonly T[],
  nameOf: (part: T) => string,
): Group<T>[] {
  const found = new Map<string, Group<T>>()
  for (const table of tables) {
    const seen = new Set<string>()
    for (const part of parts(table)) {
      const name = nameOf(part)
      const group = found.get(name)
      if (group === undefined) found.set(name, { items: [part], count: 1, tables: 1 })
      else {
        group.items.push(part)
        group.count += 1
        if (!seen.has(name)) group.tables += 1
      }
      seen.add(name)
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group)
}
