import { counted, SyncError } from '@mylab-sync/core'
import { print, printJson } from '../output.js'
import { type CommonOptions, withInstallation } from '../session.js'

export async function runCleanup(options: CommonOptions & { days: number; dryRun: boolean }): Promise<void> {
  await withInstallation(options, async ({ context, signal }) => {
    if (!Number.isInteger(options.days) || options.days < 0)
      throw new SyncError('usage', `--days: ${options.days} is not a number of days`, {
        remedy: 'a whole number, 0 or more',
      })
    const removed = await context.source.log.purge({ olderThanDays: options.days, dryRun: options.dryRun, signal })
    if (options.json) printJson({ removed, dryRun: options.dryRun })
    else
      print(
        `${counted(removed, 'entry', 'entries')} older than ${counted(options.days, 'day')} ${options.dryRun ? 'would be removed' : 'removed'} from the change log.`,
      )
    return 0
  })
}
