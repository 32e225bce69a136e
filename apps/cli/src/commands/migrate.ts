import { counted } from '@mylab-sync/core'
import { migrate } from '@mylab-sync/engine'
import { UsageFault } from '../definition.js'
import { print, printJson } from '../output.js'
import { type CommonOptions, type Session, withSession } from '../session.js'

interface MigrateOptions extends CommonOptions {
  readonly source: boolean
  readonly target: boolean
  readonly status: boolean
  readonly adopt: boolean
}

export async function runMigrate(options: MigrateOptions): Promise<void> {
  if (options.adopt && options.status) throw new UsageFault('--adopt and --status: found both, expected one of them')
  await withSession(options, async ({ context }) => {
    if (options.status)
      return showStatus(options, await context.source.admin.migrated(), await context.target.admin.migrated())
    const adopted = options.adopt ? await context.source.admin.adopt() : null
    if (options.source === options.target) await migrate(context)
    else await (options.source ? context.source : context.target).admin.migrate()
    if (options.json) printJson({ migrated: true, ...(adopted === null ? {} : { adopted }) })
    else {
      if (adopted !== null) showAdopted(adopted)
      print('The change log and the state tables are in place.')
    }
    return 0
  })
}

function showAdopted({
  triggers,
  log,
  pending,
}: Awaited<ReturnType<Session['context']['source']['admin']['adopt']>>): void {
  if (log === null) return print('There is no log of the older package to take over from.')
  const waiting = pending === 0 ? '' : ` (${counted(pending, 'change')} in it not applied)`
  print(`Taken over: ${counted(triggers, 'trigger')} dropped, the log is kept as ${log}${waiting}.`)
  print('Next: mylab-sync initial --take-over, which compares every row with the target.')
}

function showStatus(options: CommonOptions, source: boolean, target: boolean): number {
  if (options.json) printJson({ source, target })
  else print(`source: ${source ? 'set up' : 'not set up'}; target: ${target ? 'set up' : 'not set up'}`)
  return source && target ? 0 : 5
}
