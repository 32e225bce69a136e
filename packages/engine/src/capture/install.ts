import {
  cutOver,
  type ProgressChange,
  type Refusal,
  SyncError,
  TableBroken,
  transition,
  type TriggerTarget,
} from '@mylab-sync/core'
import { checkTriggers, keepingCapture } from './trigger-fingerprints.js'
import type { EngineContext, Progress } from '../context.js'
import { mendLog } from './repair-log.js'
import { modelWith } from '../model/load.js'
import type { Model } from '../model/model.js'
import { readTarget, writeTarget } from '../transactions.js'
import { requireOwner } from '../drain/ownership.js'
import { breakTable } from '../tables/set-aside.js'
import { stateOf } from '../tables/table-states.js'

/** Creates or upgrades our tables on both sides. Idempotent. */
export async function migrate(context: EngineContext): Promise<void> {
  await context.target.admin.migrate()
  // A newly set up source matches the target's history only if neither has drained.
  const { number, token } = await readTarget(context, (target) => target.history.last())
  await context.source.admin.migrate(number === 0 ? token : undefined)
}

/** Throws SyncError not-migrated, naming the side, or wrong-owner if a side belongs to another installation. */
export async function requireMigrated(context: EngineContext): Promise<void> {
  const [source, target] = [await context.source.admin.migrated(), await context.target.admin.migrated()]
  if (source && target) return requireOwner(context)
  const side = source ? 'target' : 'source'
  throw new SyncError('not-migrated', `the ${side} is not set up`, { remedy: 'mylab-sync migrate' })
}

/** Throws SyncError cut-over once the application writes the target: nothing of the source may be applied any more. */
export async function requireFollowing({ target }: EngineContext): Promise<void> {
  const { phase, since } = await target.cutover.state()
  if (phase === 'done') throw cutOver(since)
}

export interface TriggerReport {
  readonly triggers: number
  readonly tables: number
  readonly statements: readonly string[]
  readonly refused: readonly Refusal[]
}

/** Creates three triggers for every selected table and every capture-only parent. Lists tables that cannot be captured. */
export async function setupTriggers(
  context: EngineContext,
  request: { readonly tables: readonly string[]; readonly recreate: boolean; readonly dryRun: boolean },
  progress: Progress = () => {},
): Promise<TriggerReport> {
  const model = await modelWith(context, request.tables)
  const targets = model.triggerTargets(new Set(model.select(request.tables)))
  if (request.dryRun) {
    return {
      triggers: 0,
      tables: targets.length,
      statements: context.source.capture.statements(targets, 'triggers'),
      refused: model.refused,
    }
  }
  await requireMigrated(context)
  const { triggers, broken } = await install(context, model, { targets, recreate: request.recreate }, progress)
  const captured = targets.map((target) => target.table).filter((table) => !broken.has(table))
  await register(context, model, captured)
  const refused = [...broken.values()].map(refusalOf)
  return { triggers, tables: captured.length, statements: [], refused: [...model.refused, ...refused] }
}

export interface Installed {
  readonly triggers: number
  /** Tables that allow no trigger; they are `broken` now. */
  readonly broken: ReadonlyMap<string, TableBroken>
}

/**
 * Creates triggers. Re-creating one destroys the evidence that it was missing, so tables with such a gap are set aside first.
 * A table that the source cannot open is skipped and broken; a capture-only one breaks its descendants.
 */
export async function install(
  context: EngineContext,
  model: Model,
  what: { readonly targets: readonly TriggerTarget[]; readonly recreate: boolean },
  progress: Progress,
): Promise<Installed> {
  // Otherwise the INSERT that tests the log would fail.
  await mendLog(context)
  await checkTriggers(context, model)
  const broken = new Map<string, TableBroken>()
  for (;;) {
    const targets = what.targets.filter(({ table }) => !broken.has(table))
    let done = 0
    const make = (): Promise<number> =>
      context.source.capture.install(targets, {
        recreate: what.recreate,
        done: (table) => progress({ kind: 'triggers', table, done: ++done, total: targets.length * 3 }),
      })
    try {
      return { triggers: what.recreate ? await keepingCapture(context, model, make) : await make(), broken }
    } catch (error) {
      if (!(error instanceof TableBroken) || broken.has(error.table)) throw error
      broken.set(error.table, error)
      for (const victim of victimsOf(model, error)) {
        broken.set(victim.table, victim)
        await breakTable(context, victim)
      }
    }
  }
}

/** A capture-only parent has no progress row: its descendants cannot be carried without it. */
function victimsOf(model: Model, error: TableBroken): TableBroken[] {
  if (!model.isCaptureOnly(error.table)) return [error]
  const reason = `the rows of table ${error.table} act on it, and it cannot have triggers: ${error.message}`
  const children = new Set(model.graph.actionEdgesFrom(error.table).map(({ child }) => child))
  return [...children].map((child) => new TableBroken(child, reason, { remedy: error.remedy ?? '', cause: error }))
}

/** Writes a progress row for every known table: captured ones step to `capturing`, refused ones get the reason. */
export async function register(context: EngineContext, model: Model, captured: readonly string[]): Promise<void> {
  const withTriggers = new Set(captured)
  await writeTarget(context, async (target) => {
    const known = await target.tables.all()
    const estimates = (names: Iterable<string>): Map<string, ProgressChange> =>
      new Map([...names].map((name) => [name, { estimatedRows: model.mapping(name).source.estimatedRows }]))
    const names = [...model.tables.keys()]
    await target.tables.patchAll(estimates(names.filter((name) => !known.has(name))))
    const states = new Map(names.map((name) => [name, stateOf(known, name)]))
    for (const event of ['accept', 'install'] as const) {
      const moving = names.filter((name) => {
        const state = states.get(name) ?? 'discovered'
        const next = event === 'accept' || withTriggers.has(name) ? transition(state, event) : null
        if (next === null || next === state) return false
        states.set(name, next)
        return true
      })
      await target.tables.stepAll(event, estimates(moving))
    }
    for (const refusal of model.refused)
      await target.tables.step(refusal.table, 'refuse', { problem: sentence(refusal) })
  })
}

function refusalOf(error: TableBroken): Refusal {
  return { table: error.table, column: null, reason: error.message, remedy: error.remedy ?? '' }
}

function sentence({ column, reason, remedy }: Refusal): string {
  return `${column === null ? '' : `column ${column}: `}${reason}${remedy === '' ? '' : `; ${remedy}`}`
}
