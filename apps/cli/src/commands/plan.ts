import { counted } from '@mylab-sync/core'
import { type Plan, plan, type PlannedTable, requireTables } from '@mylab-sync/engine'
import { print, printJson } from '../output.js'
import { type CommonOptions, withSession } from '../session.js'

export interface PlanOptions extends CommonOptions {
  readonly tables: string[]
  /** '': both sides in one script. */
  readonly sql: string | undefined
}

export async function runPlan(options: PlanOptions): Promise<void> {
  await withSession(options, async ({ context }) => {
    await requireTables(context, options.tables, 'source')
    const { sql, ...rest } = await plan(context, options.tables)
    if (options.json) printJson({ ...rest, ...(options.sql === undefined ? {} : { sql }) })
    else if (options.sql === undefined) show(rest)
    else showSql(sql, options.sql)
    return 0
  })
}

/** The whole script runs in psql: what is for the source stands in comments. */
function showSql(sql: Plan['sql'], side: string): void {
  if (side === 'source') return sourceScript(sql.source).forEach(print)
  for (const statement of sql.target) print(`${statement};`)
  if (side === 'target') return
  print('\n-- On the source, which mylab-sync initial does by itself (alone: mylab-sync plan --sql=source):')
  for (const line of sourceScript(sql.source)) for (const part of line.split('\n')) print(`-- ${part}`)
}

/** As the mysql client takes it; the bodies of triggers hold semicolons. */
function sourceScript(statements: readonly string[]): string[] {
  return ['DELIMITER ;;', ...statements.map((statement) => `${statement};;`), 'DELIMITER ;']
}

function show(planned: Omit<Plan, 'sql'>): void {
  print(sentence(planned))
  for (const table of planned.tables) showTable(table)
  for (const { table, column, reason, remedy } of planned.refused) {
    print(`\n${table}: not carried: ${column === null ? '' : `column ${column}: `}${reason}`)
    if (remedy !== '') print(`  remedy: ${remedy}`)
  }
  print('')
  if (planned.captureOnly.length > 0)
    print(
      `Triggers only, no table in the target: ${planned.captureOnly.join(', ')} (rows of carried tables follow their rows)`,
    )
  if (planned.leftOut.length > 0) print(`Left out by tables.include and tables.exclude: ${planned.leftOut.join(', ')}`)
  if (planned.olderPackage.length > 0) print(`Left out as the older package's own: ${planned.olderPackage.join(', ')}`)
  const { views, routines, events, triggers } = planned.notCarried
  print(
    `Never carried: ${counted(views, 'view')}, ${counted(routines, 'routine')}, ${counted(events, 'event')}, ${counted(triggers, 'trigger')} of the application`,
  )
}

function sentence({ tables, refused }: Omit<Plan, 'sql'>): string {
  const whole = tables.filter(({ carried }) => carried === 'recopied').length
  const parts = [
    `${counted(tables.length - whole, 'table')} live`,
    ...(whole === 0 ? [] : [`${whole} copied again as a whole on change`]),
    ...(refused.length === 0 ? [] : [`${new Set(refused.map(({ table }) => table)).size} cannot be carried`]),
  ]
  return `${parts.join(', ')}; nothing has been changed.`
}

function showTable(table: PlannedTable): void {
  const name = table.targetName === table.table ? table.table : `${table.table} -> ${table.targetName}`
  const how = table.why === null ? 'live' : `copied again as a whole on change, since ${table.why}`
  print(`\n${name}: ${how}; ~${counted(table.estimatedRows, 'row')}`)
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

/** One line a rule and outcome: `zero-date -> NULL: a, b`. */
function ruleLines({ columns }: PlannedTable): string[] {
  const byOutcome = new Map<string, string[]>()
  for (const { name, rules } of columns)
    for (const { rule, outcome } of rules) {
      const line = `${rule} -> ${outcome}`
      byOutcome.set(line, [...(byOutcome.get(line) ?? []), name])
    }
  return [...byOutcome].map(([line, names]) => `value rule ${line}: ${names.join(', ')}`)
}
