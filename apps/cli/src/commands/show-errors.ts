import { type ErrorsRequest, listErrors, retryFailed } from '@mylab-sync/engine'
import { print, printJson, printTable } from '../output.js'
import { type CommonOptions, withSession } from '../session.js'

export async function runShowErrors(options: CommonOptions & ErrorsRequest): Promise<void> {
  await withSession(options, async ({ context }) => {
    const errors = await listErrors(context, options)
    if (options.json) printJson({ errors })
    else if (errors.length === 0) print('No row is quarantined.')
    else
      printTable(
        ['table', 'key', 'operation', 'attempts', 'code', 'since', 'why'],
        errors.map((e) => [e.table, e.key.join(', '), e.operation, e.attempts, e.code, e.at, e.message]),
      )
    return 0
  })
}

export async function runRetryFailed(options: CommonOptions & { tables: string[] }): Promise<void> {
  await withSession(options, async ({ context }) => {
    const report = await retryFailed(context, options.tables)
    if (options.json) printJson({ ...report })
    else print(`${report.tried} rows tried again: ${report.recovered} applied, ${report.left} still quarantined.`)
    return report.left === 0 ? 0 : 5
  })
}
