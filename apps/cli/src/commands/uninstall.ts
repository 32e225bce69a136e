import { counted, SyncError } from '@mylab-sync/core'
import type { EngineContext } from '@mylab-sync/engine'
import { print, printJson, printText, tell, tellText } from '../output.js'
import { type CommonOptions, withSession } from '../session.js'

export interface UninstallOptions extends CommonOptions {
  readonly keepTargetState: boolean
  readonly sql: boolean
  readonly yes: boolean
}

interface Statements {
  readonly source: readonly string[]
  readonly target: readonly string[]
}

/** Removes everything of ours on both sides, triggers first; the copied tables stay. */
export async function runUninstall(options: UninstallOptions): Promise<void> {
  await withSession(options, async ({ context }) => {
    const statements = await statementsOf(context, options.keepTargetState)
    if (options.sql) {
      show(statements, printText)
      return 0
    }
    const { source, target } = statements
    const left = options.keepTargetState ? [] : await context.target.admin.leftInState()
    const objects = `${counted(source.length, 'object')} of the source, ${target.length} of the target`
    if (!options.yes)
      throw new SyncError('usage', `this drops ${objects}`, {
        remedy: 'mylab-sync uninstall --yes, or mylab-sync uninstall --sql to see the statements',
      })
    await context.source.admin.requireRights('uninstall')
    if (!options.keepTargetState) await context.target.admin.requireUninstallRights()
    await remove(context, statements, options.keepTargetState)
    if (options.json) printJson({ source: source.length, target: target.length, left })
    else {
      print(`Removed: ${objects}. The copied tables stay.`)
      if (left.length > 0) print(`Also left in the target: ${left.join(', ')}.`)
    }
    return 0
  })
}

async function statementsOf({ source, target }: EngineContext, keepTargetState: boolean): Promise<Statements> {
  return {
    source: await source.admin.uninstallStatements(),
    target: keepTargetState ? [] : await target.admin.uninstallStatements(),
  }
}

/** If a statement fails, prints the statements that are left. */
async function remove(context: EngineContext, { source, target }: Statements, keepTargetState: boolean): Promise<void> {
  try {
    await context.source.admin.run(source)
    await context.target.admin.run(target)
  } catch (error) {
    const left = await statementsOf(context, keepTargetState).catch(() => ({ source, target }))
    tell('mylab-sync: stopped halfway; run the statements that remain, or mylab-sync uninstall --yes again:')
    show(left, tellText)
    throw error
  }
}

function show({ source, target }: Statements, say: (line: string) => void): void {
  say('-- source')
  for (const statement of source) say(`${statement};`)
  say('-- target')
  for (const statement of target) say(`${statement};`)
}
