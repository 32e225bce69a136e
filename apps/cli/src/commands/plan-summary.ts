import { counted } from '@mylab-sync/core'
import type { KindCount, Plan, PlanSummary } from '@mylab-sync/engine'
import { print, printColumns } from '../output.js'

type Kind = KindCount['kind']

/** What is counted of each kind. */
const COUNTED: Readonly<Record<Kind, (found: KindCount) => string>> = {
  'case-insensitive-text': ({ tables }) => `case-insensitive text in ${counted(tables, 'table')}`,
  check: ({ count }) => counted(count, 'CHECK'),
  default: ({ count }) => counted(count, 'DEFAULT'),
  'expression-index': ({ count }) => counted(count, 'index on an expression', 'indexes on expressions'),
  'foreign-key': ({ count }) => counted(count, 'foreign key'),
  'foreign-key-action': ({ count }) => `actions of ${counted(count, 'foreign key')}`,
  'fulltext-index': ({ count }) => counted(count, 'FULLTEXT index', 'FULLTEXT indexes'),
  'generated-expression': ({ count }) => `expressions of ${counted(count, 'generated column')}`,
  history: ({ count }) => `history of ${counted(count, 'system-versioned table')}`,
  index: ({ count }) => counted(count, 'index', 'indexes'),
  'on-update': ({ count }) => `ON UPDATE of ${counted(count, 'column')}`,
  partitions: ({ count }) => `partitions of ${counted(count, 'table')}`,
  'spatial-index': ({ count }) => counted(count, 'SPATIAL index', 'SPATIAL indexes'),
}

/** How much there is, what stays behind, and what becomes of values: a screen, however many tables there are. */
export function showSummary(planned: Omit<Plan, 'sql'>): void {
  const { summary } = planned
  showLargest(summary)
  showNotCarried(planned)
  showRules(summary)
}

function showLargest({ largest, estimatedRows, estimatedBytes, live, recopied }: PlanSummary): void {
  if (largest.length === 0) return
  const tables = live + recopied
  print(`\nAbout ${counted(estimatedRows, 'row')} and ${size(estimatedBytes)}, as the source estimates`)
  printColumns(
    largest.map((table) => [table.table, `~${counted(table.estimatedRows, 'row')}`, size(table.estimatedBytes)]),
  )
  if (tables > largest.length) print(`  and ${counted(tables - largest.length, 'smaller table')}`)
}

function showNotCarried({ summary, notCarried, notVisible, notListed }: Omit<Plan, 'sql'>): void {
  const rows = summary.notCarried.map((found): string[] => [
    COUNTED[found.kind](found),
    found.reason ?? 'mylab-sync plan --full gives the reason of each',
  ])
  const others = otherObjects(notCarried)
  if (rows.length + others.length + notVisible.length + notListed.length === 0) return
  print('\nNot carried')
  printColumns([...rows, ...others.map((counts) => [counts, 'of the application; they stay in the source'])])
  for (const { objects, grant } of notVisible)
    print(`  ${objects}: whether there are any is not visible to this account; to see: ${grant}`)
  for (const { objects, reason } of notListed)
    print(`  ${objects}: the server cannot list them: ${reason}; its upgrade program mends its own tables`)
}

const ONE_OF: Readonly<Record<keyof Plan['notCarried'], string>> = {
  views: 'view',
  routines: 'routine',
  events: 'event',
  triggers: 'trigger',
  sequences: 'sequence',
}

/** All kinds of which there is at least one, in one text. */
export function otherObjects(counts: Plan['notCarried']): string[] {
  const present = (['views', 'routines', 'events', 'triggers', 'sequences'] as const)
    .filter((kind) => (counts[kind] ?? 0) > 0)
    .map((kind) => counted(counts[kind] ?? 0, ONE_OF[kind]))
  return present.length === 0 ? [] : [present.join(', ')]
}

function showRules({ rules }: PlanSummary): void {
  if (rules.length === 0) return
  print('\nValues that PostgreSQL cannot hold, should there be any; each is counted by table and column')
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
