import { counted } from '@mylab-sync/core'
import { type ErrorsRequest, listErrors, retryFailed, type RetryReport, type ShownError } from '@mylab-sync/engine'
import { print, printHeading, printJson, printTable } from '../output.js'
import { type CommonOptions, withInstallation } from '../session.js'

export async function runShowErrors(
  options: CommonOptions & ErrorsRequest & { readonly showValues: boolean },
): Promise<void> {
  await withInstallation(options, async ({ context }) => {
    const errors = await listErrors(context, { ...options, values: options.showValues })
    if (options.json) printJson({ errors })
    else if (errors.length === 0) print('No row is quarantined.')
    else {
      printTable(
        ['table', 'key', 'operation', 'attempts', 'code', 'since', 'why'],
        errors.map((e) => [e.table, e.key.join(', '), e.operation, e.attempts, e.code, e.at, e.message]),
      )
      for (const error of errors) showValues(error)
    }
    return 0
  })
}

function showValues({ table, key, values }: ShownError): void {
  if (values === undefined) return
  printHeading(`${table} ${key.join(', ')}${values === null ? ': no longer in the source' : ''}`)
  for (const [column, value] of Object.entries(values ?? {})) print(`  ${column}: ${value ?? 'NULL'}`)
}

export async function runRetryFailed(options: CommonOptions & { tables: string[] }): Promise<void> {
  await withInstallation(options, async ({ context }) => {
    const report = await retryFailed(context, options.tables)
    if (options.json) printJson({ ...report })
    else print(`${retried(report)}.`)
    return report.left === 0 ? 0 : 5
  })
}

export function retried({ tried, recovered, left }: RetryReport): string {
  return `${counted(tried, 'row')} tried again: ${recovered} applied, ${left} still quarantined`
}
