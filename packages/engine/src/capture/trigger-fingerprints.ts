import { isCarried, type TableProgress } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { Model } from '../model/model.js'
import { readTarget, writeTarget } from '../transactions.js'
import { setAside } from '../tables/set-aside.js'

export const TRIGGERS_GONE = 'its triggers are missing or altered'
const TRIGGERS_ANEW = 'its triggers were re-created; changes in between were not captured'
/** No triggers have this fingerprint, so later ones are detected as different. */
export const NO_TRIGGERS = 'none'

/**
 * Returns a fingerprint for each table whose changes are captured: its own triggers and those of capture-only parents are
 * correct. A fingerprint changes when one of these triggers is re-created; a table that needs none has an empty one.
 */
export async function captureFingerprints(
  context: EngineContext,
  model: Model,
  tables: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const targets = model.triggerTargets(new Set(tables))
  const standing = targets.length === 0 ? new Map<string, string>() : await context.source.capture.fingerprints(targets)
  const isTarget = new Set(targets.map(({ table }) => table))
  const signs = new Map<string, string>()
  for (const table of tables) {
    const writers = [table, ...model.graph.captureOnlyParents(table)].filter((each) => isTarget.has(each))
    const own = writers.flatMap((each) => standing.get(each) ?? [])
    if (own.length === writers.length) signs.set(table, own.join(' '))
  }
  return signs
}

/** Whether the triggers were re-created since the table's copy started. */
export function isMadeAnew({ table, captureFingerprint }: TableProgress, signs: ReadonlyMap<string, string>): boolean {
  const sign = signs.get(table)
  return sign !== undefined && captureFingerprint !== null && sign !== captureFingerprint
}

/**
 * Finds tables whose triggers are or were missing or altered, and sets them aside with their descendants. Records
 * fingerprints that are not known yet.
 */
export async function checkTriggers(context: EngineContext, model: Model): Promise<string[]> {
  const states = await readTarget(context, (target) => target.tables.all())
  const captured = [...states.values()].filter(
    (p) => p.captured && p.state !== 'copied' && p.state !== 'suspect' && model.tables.has(p.table),
  )
  const signs = await captureFingerprints(
    context,
    model,
    captured.map(({ table }) => table),
  )
  const unsigned = captured.filter((p) => isCarried(p.state) && p.captureFingerprint === null)
  if (unsigned.length > 0) {
    await writeTarget(context, async (target) => {
      for (const { table } of unsigned)
        await target.tables.adoptCaptureFingerprint(table, signs.get(table) ?? NO_TRIGGERS)
    })
  }
  const missing = captured.filter(({ table }) => !signs.has(table)).map(({ table }) => table)
  const anew = captured.filter((p) => isMadeAnew(p, signs)).map(({ table }) => table)
  return [
    ...(await setAside(context, model, missing, TRIGGERS_GONE)),
    ...(await setAside(context, model, anew, TRIGGERS_ANEW)),
  ]
}

/** Runs `work`, which re-creates triggers without a gap, and adopts the new fingerprints for the same copies. */
export async function keepingCapture<T>(context: EngineContext, model: Model, work: () => Promise<T>): Promise<T> {
  const tables = await writeTarget(context, async (target) => {
    const states = [...(await target.tables.all()).values()].filter((p) => model.tables.has(p.table))
    const signed = states
      .filter((p) => p.captureFingerprint !== null && p.state !== 'suspect')
      .map(({ table }) => table)
    // Unset meanwhile, or control work of another process would detect each trigger as re-created.
    for (const table of signed) await target.tables.patch(table, { captureFingerprint: null })
    return signed
  })
  const result = await work()
  const signs = await captureFingerprints(context, model, tables)
  await writeTarget(context, async (target) => {
    for (const [table, captureFingerprint] of signs) await target.tables.patch(table, { captureFingerprint })
  })
  return result
}
