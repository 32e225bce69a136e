import { counted } from '@mylab-sync/core'
import { requireTables, setupTriggers } from '@mylab-sync/engine'
import { print, printJson, printText, tell } from '../output.js'
import { showProgress } from '../progress.js'
import { type CommonOptions, withSession } from '../session.js'

export async function runSetupTriggers(
  options: CommonOptions & { tables: string[]; drop: boolean; dryRun: boolean },
): Promise<void> {
  await withSession(options, async ({ context }) => {
    await requireTables(context, options.tables, 'source')
    const progress = showProgress(options.quiet || options.dryRun)
    const report = await setupTriggers(
      context,
      { tables: options.tables, recreate: options.drop, dryRun: options.dryRun },
      progress.on,
    ).finally(() => progress.stop())
    for (const refusal of report.refused) tell(`${refusal.table}: not captured: ${refusal.reason}`)
    if (options.json) printJson({ ...report })
    else if (options.dryRun) for (const statement of report.statements) printText(`${statement};`)
    else print(`Total triggers created: ${report.triggers} (${counted(report.tables, 'table')} x 3 operations)`)
    return 0
  })
}
