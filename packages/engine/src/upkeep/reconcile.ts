import { TableBroken, type TableProgress, transition } from '@mylab-sync/core'
import { captureSigns, NO_TRIGGERS } from '../capture/trigger-fingerprints.js'
import { type EngineContext, throwIfStopped, type Progress, reach } from '../context.js'
import { install } from '../capture/install.js'
import type { Model } from '../model/model.js'
import { readTarget, writeTarget } from '../transactions.js'
import { behind, breakTable } from '../tables/set-aside.js'
import { type CopyStart, prepareMerge, startCopy } from '../copy/start-copy.js'
import { waitsFor } from '../tables/waits.js'

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
  await reach(context, 'reconcile:triggers')
  const signs = await captureSigns(context, model, mapped)
  const starts: CopyStart[] = []
  for (const suspect of suspects) {
    throwIfStopped(context)
    if (broken.has(suspect.table)) continue
    const problem = await takenUp(context, suspect.table, () =>
      mapped.includes(suspect.table) ? adapt(context, model, suspect.table) : exclude(context, model, suspect),
    )
    if (problem === 'broken') continue
    const { table } = suspect
    if (problem === null)
      starts.push({ table, inPlace: true, captured: true, captureSign: signs.get(table) ?? NO_TRIGGERS })
    else if (problem !== suspect.problem)
      await writeTarget(context, (target) => target.tables.patch(table, { problem }))
  }
  await reach(context, 'reconcile:adapted')
  const { begun, held } = await startCopy(context, model, starts, 'reconcile')
  await tellHeld(context, suspects, held)
  await reach(context, 'reconcile:asked')
  return [...begun]
}

async function tellHeld(
  context: EngineContext,
  suspects: readonly TableProgress[],
  held: ReadonlyMap<string, string>,
): Promise<void> {
  for (const { table, problem } of suspects) {
    const parent = held.get(table)
    if (parent === undefined || problem === behind(parent)) continue
    await writeTarget(context, (target) => target.tables.patch(table, { problem: behind(parent) }))
  }
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

/** Returns null, or what a person must do first. */
async function adapt(context: EngineContext, model: Model, table: string): Promise<string | null> {
  const mapping = model.mapping(table)
  const objects = model.objects(table)
  if (!(await context.target.tables.exists(mapping))) {
    await context.target.tables.create(mapping, objects)
    return null
  }
  const left = await prepareMerge(context, model, { table, isOurs: true })
  return left.length > 0 ? waitsFor(left) : null
}

async function exclude(context: EngineContext, model: Model, suspect: TableProgress): Promise<string> {
  const refusal = model.refusal(suspect.table)
  if (!refusal) return suspect.problem ?? 'it is not selected any more'
  const state = transition('suspect', 'refuse') ?? 'refused'
  await writeTarget(context, (target) => target.tables.patch(suspect.table, { state }))
  return `${refusal.reason}; ${refusal.remedy}`
}
