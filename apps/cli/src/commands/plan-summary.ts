import { counted } from '@mylab-sync/core'
import { notCarriedGroups, type Plan, type PlanSummary } from '@mylab-sync/engine'
import { print, printColumns, printHeading } from '../output.js'

/** Size, objects not carried, and value rules: fits one screen for any number of tables. */
export function showSummary(planned: Omit<Plan, 'sql'>): void {
  showLargest(planned.summary)
  showNotCarried(planned)
  showRules(planned.summary)
}

function showLargest({ largest, estimatedRows, estimatedBytes, live, recopied }: PlanSummary): void {
  if (largest.length === 0) return
  const tables = live + recopied
  printHeading(`About ${counted(estimatedRows, 'row')} and ${size(estimatedBytes)}, estimated by the source`)
  printColumns(
    largest.map((table) => [table.table, `~${counted(table.estimatedRows, 'row')}`, size(table.estimatedBytes)]),
  )
  if (tables > largest.length) print(`  and ${counted(tables - largest.length, 'smaller table')}`)
}

function showNotCarried({ tables, notCarried, notVisible, notListed }: Omit<Plan, 'sql'>): void {
  const groups = notCarriedGroups({
    tables: tables.flatMap((table) => table.notCarried.map((left) => ({ table: table.table, ...left }))),
    others: { counts: notCarried, notVisible, notListed, partitionedTables: [] },
  })
  if (groups.length === 0) return
  printHeading('Not carried')
  printColumns(groups.map(({ text, reason }) => [text, reason ?? 'mylab-sync plan --full gives the reason of each']))
}

function showRules({ rules }: PlanSummary): void {
  if (rules.length === 0) return
  printHeading('Values that PostgreSQL cannot hold, if any occur; each is counted by table and column')
  printColumns(
    rules.map(({ rule, outcome, columns, tables }) => [
      rule,
      outcome,
      `${counted(columns, 'column')} in ${counted(tables, 'table')}`,
    ]),
  )
}

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB']

function size(bytes: number): string {
  let [value, unit] = [bytes / 1024, 0]
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024
  return `${value >= 10 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit] ?? ''}`
}
