import { migrate } from '@mylab-sync/engine'
import { print, printJson } from '../output.js'
import { type CommonOptions, withSession } from '../session.js'

export async function runMigrate(
  options: CommonOptions & { source: boolean; target: boolean; status: boolean },
): Promise<void> {
  await withSession(options, async ({ context }) => {
    if (options.status) return showStatus(options, await context.source.migrated(), await context.target.migrated())
    if (options.source === options.target) await migrate(context)
    else await (options.source ? context.source : context.target).migrate()
    if (options.json) printJson({ migrated: true })
    else print('The change log and the state tables are in place.')
    return 0
  })
}

function showStatus(options: CommonOptions, source: boolean, target: boolean): number {
  if (options.json) printJson({ source, target })
  else print(`source: ${source ? 'set up' : 'not set up'}; target: ${target ? 'set up' : 'not set up'}`)
  return source && target ? 0 : 5
}
