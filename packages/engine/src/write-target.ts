import type { TableProgress, TargetTransaction } from '@mylab-sync/core'
import type { EngineContext } from './context.js'

/** A running drain is waited for. */
const DRAIN_WAIT_MS = 60_000

/** One target transaction of its own, committed when `work` is done and rolled back when it fails. */
export async function writeTarget<T>(
  context: EngineContext,
  work: (target: TargetTransaction) => Promise<T>,
): Promise<T> {
  return committed(await context.target.begin(), work)
}

/** As writeTarget, while no drain runs: every change of the source is on one side of what `work` writes. */
export async function betweenDrains<T>(
  context: EngineContext,
  work: (target: TargetTransaction, states: ReadonlyMap<string, TableProgress>) => Promise<T>,
): Promise<T> {
  const transaction = await context.target.beginDrainWaiting(DRAIN_WAIT_MS)
  return committed(transaction, async (target) => work(target, await target.progress()))
}

async function committed<T>(target: TargetTransaction, work: (target: TargetTransaction) => Promise<T>): Promise<T> {
  try {
    const result = await work(target)
    await target.commit()
    return result
  } finally {
    await target.rollback()
  }
}
