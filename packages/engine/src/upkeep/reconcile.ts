import { TableBroken, type TableProgress } from '@mylab-sync/core'
import { captureFingerprints, NO_TRIGGERS } from '../capture/trigger-fingerprints.js'
import { type EngineContext, throwIfStopped, type Progress } from '../context.js'
import { install } from '../capture/install.js'
import type { Model } from '../model/model.js'
import { readTarget, writeTarget } from '../transactions.js'
import { behind, breakTable } from '../tables/set-aside.js'
import { type CopyStart, prepareMerge, startCopy } from '../copy/start-copy.js'
import { type Obstacle, waitsFor } from '../tables/waits.js'

/**
 * Resumes tables that were set aside: repairs triggers, adapts the target's definition, then requests a copy in place. A
 * table that cannot be adapted without a loss waits, with the statements to run as its problem.
 */
export async function reconcile(context: EngineContext, model: Model, progress: Progress): Promise<string[]> {
  const states = await readTarget(context, (target) => target.tables.all())
  const suspects = [...states.values()].filter((p) => p.state === 'suspect')
  if (suspects.length === 0) return []
  const mapped = suspects.filter((p) => model.tables.has(p.table)).map((p) => p.table)
  const targets = model.triggerTargets(new Set(mapped))
  const { broken } = await install(context, model, { targets, recreate: false }, progress)
  const signs = await captureFingerprints(context, model, mapped)
  const starts: CopyStart[] = []
  for (const suspect of suspects) {
    throwIfStopped(context)
    if (broken.has(suspect.table)) continue
    const { table } = suspect
    const taken = await takenUp(context, table, () =>
      mapped.includes(table) ? adapt(context, model, table) : exclude(context, model, suspect),
    )
    if (taken === 'ready')
      starts.push({ table, inPlace: true, captured: true, captureFingerprint: signs.get(table) ?? NO_TRIGGERS })
    else if (taken !== 'broken') await writeTarget(context, (target) => target.tables.patch(table, taken))
  }
  const { begun, held } = await startCopy(context, model, starts, 'reconcile')
  for (const [table, parent] of held)
    await writeTarget(context, (target) => target.tables.patch(table, { problem: behind(parent) }))
  return [...begun]
}

/** Runs `work`; breaks a table that the target refuses, so the others are still resumed. */
async function takenUp<T>(context: EngineContext, table: string, work: () => Promise<T>): Promise<T | 'broken'> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof TableBroken) || error.table !== table) throw error
    await breakTable(context, error)
    return 'broken'
  }
}

/** An obstacle is what a person must do first. */
async function adapt(context: EngineContext, model: Model, table: string): Promise<'ready' | Obstacle> {
  const mapping = model.mapping(table)
  const objects = model.objects(table)
  if ((await context.target.tables.existing([mapping])).size === 0) {
    await context.target.tables.create([{ table: mapping, objects }])
    return 'ready'
  }
  const left = await prepareMerge(context, model, { table, isOurs: true })
  return left.length > 0 ? waitsFor(left) : 'ready'
}

async function exclude(context: EngineContext, model: Model, suspect: TableProgress): Promise<Obstacle> {
  const refusal = model.refusal(suspect.table)
  if (!refusal) return { problem: suspect.problem ?? 'it is no longer selected', waits: suspect.waits }
  await writeTarget(context, (target) => target.tables.step(suspect.table, 'refuse'))
  return { problem: `${refusal.reason}; ${refusal.remedy}`, waits: false }
}
