import { reversePlan, type ReversePlan } from '@mylab-sync/engine'
import { print, printHeading, printJson } from '../output.js'
import { type CommonOptions, withInstallation } from '../session.js'

export async function runReversePlan(options: CommonOptions & { readonly tables: string[] }): Promise<void> {
  await withInstallation(options, async ({ context, signal }) => {
    const plan = await reversePlan({ ...context, signal }, options.tables)
    if (options.json) printJson({ ...plan })
    else show(plan)
    return 0
  })
}

function show({ tables, sourceTriggers }: ReversePlan): void {
  print(
    'A way back from PostgreSQL to the source is not built: nothing carries changes back. For these tables it would take',
  )
  print(
    '- triggers or logical decoding in PostgreSQL that record the key of each changed row, and a program that applies them',
  )
  print('- the capture triggers of this program off at the source, or what comes back would be carried over again')
  print(
    `- triggers of the application at the source held back (${sourceTriggers ?? 'not visible'}), which have run in PostgreSQL already or not at all`,
  )
  for (const { table, key, lossy, generated, counter, triggers, problem } of tables) {
    printHeading(table)
    print(`  key: ${key === null ? 'none: it could only be copied back as a whole' : key.join(', ')}`)
    for (const { column, reason } of lossy) print(`  not without loss: ${column}: ${reason}`)
    if (generated.length > 0) print(`  computed by the source itself, not to be written: ${generated.join(', ')}`)
    if (counter !== null) print(`  AUTO_INCREMENT of ${counter} to be set to its sequence`)
    if (triggers.length > 0) print(`  triggers in PostgreSQL: ${triggers.join(', ')}`)
    if (problem !== null) print(`  problem: ${problem}`)
  }
}
