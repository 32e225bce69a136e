import { counted } from '@mylab-sync/core'
import { type CountsReport, verifyCounts } from '@mylab-sync/engine'
import { print, printJson, printTable } from '../output.js'
import { type CommonOptions, withInstallation } from '../session.js'

export async function runVerifyCounts(options: CommonOptions & { tables: string[] }): Promise<void> {
  await withInstallation(options, async ({ context }) => {
    const report = await verifyCounts(context, options.tables)
    if (options.json) printJson({ ...report })
    else show(report)
    return report.equal ? 0 : 5
  })
}

function show(report: CountsReport): void {
  print(sentence(report))
  for (const { table, reason, rows } of report.notCounted)
    print(`not counted: ${table}: ${reason}${rows === false ? ' (it is empty)' : ''}`)
  printTable(
    ['table', 'source', 'target', ''],
    report.tables.map((table) => [table.table, table.source, table.target, noteOf(table)]),
  )
}

function noteOf({ equal, quarantined, withoutTriggers }: CountsReport['tables'][number]): string {
  return [
    ...(equal ? [] : ['DIFFERENT']),
    ...(quarantined === 0 ? [] : [`${quarantined} quarantined`]),
    ...(withoutTriggers ? ['not captured by triggers'] : []),
  ].join(', ')
}

function sentence({ tables, notCounted }: CountsReport): string {
  const missing = notCounted.filter(({ rows }) => rows !== false).length
  const left = missing === 0 ? '' : `; ${counted(missing, 'selected table')} with rows ${isOrAre(missing)} not counted`
  if (tables.length === 0) return `No table is live yet: there is nothing to count${left}.`
  const different = tables.filter(({ equal }) => !equal).length
  if (different > 0) return `Row counts differ in ${different} of ${counted(tables.length, 'table')}${left}.`
  return `Both sides hold the same number of rows in ${whole(tables, notCounted)}${left}.`
}

const isOrAre = (n: number): string => (n === 1 ? 'is' : 'are')

function whole(tables: CountsReport['tables'], notCounted: CountsReport['notCounted']): string {
  const which =
    notCounted.length === 0
      ? 'every table'
      : `the ${tables.length === 1 ? 'one table' : `${tables.length} tables`} that ${tables.length === 1 ? 'was' : 'were'} counted`
  const lacking = tables.filter(({ source, target }) => source !== target)
  const rows = lacking.reduce((sum, { source, target }) => sum + source - target, 0)
  if (rows === 0) return which
  const names = lacking.map(({ table, source, target }) => `${source - target} of ${table}`).join(', ')
  return `${which}, but for ${counted(rows, 'quarantined row')} (${names}): mylab-sync show-errors`
}
