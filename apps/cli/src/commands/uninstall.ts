import { SyncError } from '@mylab-sync/core'
import { print, printJson } from '../output.js'
import { type CommonOptions, withSession } from '../session.js'

export interface UninstallOptions extends CommonOptions {
  readonly keepTargetState: boolean
  readonly sql: boolean
  readonly yes: boolean
}

/** Removes what is ours on both sides, triggers first; the copied tables stay. */
export async function runUninstall(options: UninstallOptions): Promise<void> {
  await withSession(options, async ({ context }) => {
    const source = await context.source.uninstallStatements()
    const target = options.keepTargetState ? [] : context.target.uninstallStatements()
    if (options.sql) {
      print('-- source')
      for (const statement of source) print(`${statement};`)
      print('-- target')
      for (const statement of target) print(`${statement};`)
      return 0
    }
    if (!options.yes)
      throw new SyncError(
        'usage',
        `this drops ${source.length} objects of the source and ${target.length} of the target`,
        {
          remedy: 'mylab-sync uninstall --yes, or mylab-sync uninstall --sql to see the statements',
        },
      )
    await context.source.run(source)
    await context.target.run(target)
    if (options.json) printJson({ source: source.length, target: target.length })
    else
      print(`Removed: ${source.length} objects of the source, ${target.length} of the target. The copied tables stay.`)
    return 0
  })
}
