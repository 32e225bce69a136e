import { type CountsReport, verifyCounts } from '@mylab-sync/engine'
import { print, printJson, printTable } from '../output.js'
import { type CommonOptions, withInstallation } from '../session.js'

export async function runVerifyCounts(options: CommonOptions & { tables: string[] }): Promise<void> {
  await withInstallation(options, async ({ context }) => {
    const report = await verifyCounts(context, options.tables)
    if (options.json) printJson({ ...report })
    else {
      print(sentence(report))
      printTable(
        ['table', 'source', 'target', ''],
        report.tables.map((t) => [t.table, t.source, t.target, t.equal ? '' : 'DIFFERENT']),
      )
    }
    return report.equal ? 0 : 5
  })
}

function sentence({ equal, tables }: CountsReport): string {
  if (tables.length === 0) return 'No table is live yet: there is nothing to count.'
  return equal ? 'Both sides hold the same number of rows in every table.' : 'Row counts differ.'
}
