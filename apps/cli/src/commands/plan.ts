import { counted } from '@mylab-sync/core'
import { type Plan, plan, type PlannedTable, requireTables } from '@mylab-sync/engine'
import { print, printHeading, printJson, printText } from '../output.js'
import { showSummary } from './plan-summary.js'
import { type CommonOptions, withSession } from '../session.js'

export interface PlanOptions extends CommonOptions {
  readonly tables: string[]
  readonly full: boolean
  /** '': both sides in one script. */
  readonly sql: string | undefined
}

export async function runPlan(options: PlanOptions): Promise<void> {
  await withSession(options, async ({ context }) => {
    await requireTables(context, options.tables, 'source')
    const { sql, ...rest } = await plan(context, options.tables)
    if (options.json) printJson({ ...rest, ...(options.sql === undefined ? {} : { sql }) })
    else if (options.sql === undefined) show(rest, options)
    else showSql(sql, options.sql)
    return 0
  })
}

/** The whole script runs in psql: statements for the source are commented out. */
function showSql(sql: Plan['sql'], side: string): void {
  if (side === 'source') return sourceScript(sql.source).forEach(printText)
  for (const statement of sql.target) printText(`${statement};`)
  if (side === 'target') return
  printHeading('-- On the source; mylab-sync initial runs this itself (only this part: mylab-sync plan --sql=source):')
  for (const line of sourceScript(sql.source)) for (const part of line.split('\n')) print(`-- ${part}`)
}

/** For the mysql client: trigger bodies contain semicolons, so the delimiter is changed. */
function sourceScript(statements: readonly string[]): string[] {
  return ['DELIMITER ;;', ...statements.map((statement) => `${statement};;`), 'DELIMITER ;']
}

interface Shown {
  readonly tables: readonly string[]
  readonly full: boolean
}

/** Keeps the output readable: columns are printed only for requested tables. */
function show(planned: Omit<Plan, 'sql'>, { tables, full }: Shown): void {
  print(sentence(planned))
  const inDetail = full || tables.length > 0
  if (tables.length === 0) showSummary(planned)
  showAttention(planned, inDetail)
  if (inDetail) for (const table of planned.tables) showTable(table)
  showLeftOut(planned)
  if (!inDetail && planned.tables.length > 0)
    printHeading(
      'Columns, keys and indexes: mylab-sync plan --table NAME, or --full for all; --sql prints the statements.',
    )
}

/** Findings to read before a first copy. */
function showAttention({ tables, refused, hindrances }: Omit<Plan, 'sql'>, inDetail: boolean): void {
  const recopied = inDetail ? [] : tables.filter(({ why }) => why !== null)
  if (refused.length + recopied.length + hindrances.length === 0) return
  printHeading('Read first')
  for (const { table, column, reason, remedy } of refused) {
    print(`  ${table}: cannot be carried: ${column === null ? '' : `column ${column}: `}${reason}`)
    if (remedy !== '') print(`    remedy: ${remedy}`)
  }
  for (const { table, problem, triggers } of hindrances)
    print(
      problem === null
        ? `  ${table}: the target's table has enabled triggers: ${triggers.join(', ')}; it is refused without --take-over`
        : `  ${problem}`,
    )
  for (const [why, names] of byReason(recopied)) print(`  copied in full on every change, since ${why}: ${names}`)
}

function byReason(tables: readonly PlannedTable[]): Map<string, string> {
  const found = new Map<string, string>()
  for (const { table, why } of tables)
    if (why !== null) found.set(why, found.has(why) ? `${found.get(why)}, ${table}` : table)
  return found
}

function showLeftOut({ captureOnly, leftOut, olderPackage }: Omit<Plan, 'sql'>): void {
  const lines = [
    ...(captureOnly.length === 0
      ? []
      : [
          `Triggers only, no table in the target: ${captureOnly.join(', ')} (their foreign key actions change rows of carried tables)`,
        ]),
    ...(leftOut.length === 0 ? [] : [`Left out by tables.include and tables.exclude: ${leftOut.join(', ')}`]),
    ...(olderPackage.length === 0 ? [] : [`Left out as the older package's own: ${olderPackage.join(', ')}`]),
  ]
  if (lines.length > 0) print('')
  lines.forEach(print)
}

function sentence({ summary }: Omit<Plan, 'sql'>): string {
  const { live, recopied, refused, leftOut } = summary
  const parts = [
    `${counted(live, 'table')} live`,
    ...(recopied === 0 ? [] : [`${recopied} copied in full on every change`]),
    ...(refused === 0 ? [] : [`${refused} cannot be carried`]),
    ...(leftOut === 0 ? [] : [`${leftOut} left out`]),
  ]
  return `${parts.join(', ')}; nothing has been changed.`
}

function showTable(table: PlannedTable): void {
  const name = table.targetName === table.table ? table.table : `${table.table} -> ${table.targetName}`
  const how = table.why === null ? 'live' : `copied in full on every change, since ${table.why}`
  printHeading(`${name}: ${how}; ~${counted(table.estimatedRows, 'row')}`)
  showColumns(table)
  for (const key of table.foreignKeys) {
    const actions = `on delete ${key.onDelete.toLowerCase()}, on update ${key.onUpdate.toLowerCase()}, at the source`
    const end = key.notCarried === null ? actions : `not carried: ${key.notCarried}`
    print(
      `  foreign key ${key.name} (${key.columns.join(', ')}) -> ${key.parent} (${key.parentColumns.join(', ')}): ${end}`,
    )
  }
  for (const { name: index, unique, parts } of table.indexes)
    print(`  ${unique ? 'unique' : 'index'} ${index} (${parts.join(', ')})`)
  for (const { name: check, expression } of table.checks) print(`  check ${check}: ${expression}`)
  for (const line of ruleLines(table)) print(`  ${line}`)
  for (const { object, reason } of table.notCarried) print(`  not carried: ${object}: ${reason}`)
}

function showColumns({ columns, key, identity }: PlannedTable): void {
  const width = Math.max(...columns.map(({ targetName }) => targetName.length))
  const typeWidth = Math.max(...columns.map(({ type }) => type.length))
  for (const column of columns) {
    const marks = [
      ...(key?.includes(column.name) ? ['key'] : []),
      ...(column.notNull ? ['not null'] : []),
      ...(identity === column.targetName ? ['identity'] : []),
      ...(column.default === null ? [] : [`default ${column.default}`]),
    ]
    const from = column.name === column.targetName ? column.sourceType : `${column.name} ${column.sourceType}`
    const facts = marks.length === 0 ? '' : `${marks.join(', ')} `
    print(`  ${column.targetName.padEnd(width)}  ${column.type.padEnd(typeWidth)}  ${facts}(${from})`)
  }
}

/** One line per rule and outcome: `zero-date -> NULL: a, b`. */
function ruleLines({ columns }: PlannedTable): string[] {
  const byOutcome = new Map<string, string[]>()
  for (const { name, rules } of columns)
    for (const { rule, outcome } of rules) {
      const line = `${rule} -> ${outcome}`
      byOutcome.set(line, [...(byOutcome.get(line) ?? []), name])
    }
  return [...byOutcome].map(([line, names]) => `value rule ${line}: ${names.join(', ')}`)
}
