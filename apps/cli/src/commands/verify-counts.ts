import { verifyCounts } from '@mylab-sync/engine'
import { print, printJson, printTable } from '../output.js'
import { type CommonOptions, withSession } from '../session.js'

export async function runVerifyCounts(options: CommonOptions & { tables: string[] }): Promise<void> {
  await withSession(options, async ({ context }) => {
    const report = await verifyCounts(context, options.tables)
    if (options.json) printJson({ ...report })
    else {
      print(report.equal ? 'Both sides hold the same number of rows in every table.' : 'Row counts differ.')
      printTable(
        ['table', 'source', 'target', ''],
        report.tables.map((t) => [t.table, t.source, t.target, t.equal ? '' : 'DIFFERENT']),
      )
    }
    return report.equal ? 0 : 5
  })
}
