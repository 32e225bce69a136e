import type { EngineContext, Progress } from '../context.js'
import { drain } from '../drain/drain.js'
import { DRAIN_WAIT_MS } from '../drain/pass.js'
import { loadModel } from '../model/load.js'
import { readTarget, writeTarget } from '../transactions.js'
import { resyncTables } from './table-control.js'

export interface RetryReport {
  readonly tried: number
  readonly recovered: number
  readonly left: number
}

/** As retryFailed, and also copies broken tables and their foreign key action descendants again. */
export async function retryErrors(
  context: EngineContext,
  patterns: readonly string[],
  running: { readonly progress: Progress; readonly signal: AbortSignal },
): Promise<RetryReport & { readonly mended: readonly string[] }> {
  const model = await loadModel(context)
  const states = await readTarget(context, (target) => target.tables.all())
  const broken = model.select(patterns).filter((table) => states.get(table)?.state === 'broken')
  const mended = broken.length === 0 ? [] : await resyncTables(context, broken, running)
  return { ...(await retryFailed(context, patterns)), mended }
}

/** Retries all quarantined keys of these tables in a drain of its own. */
export async function retryFailed(context: EngineContext, patterns: readonly string[]): Promise<RetryReport> {
  const model = await loadModel(context)
  const tables = model.select(patterns)
  const tried = await writeTarget(context, (target) => target.quarantine.retry(tables))
  await drain(context, model, { waitMs: DRAIN_WAIT_MS })
  const counts = await readTarget(context, (reader) => reader.quarantine.counts())
  const left = tables.reduce((sum, table) => sum + (counts.get(table) ?? 0), 0)
  return { tried, recovered: Math.max(0, tried - left), left }
}
