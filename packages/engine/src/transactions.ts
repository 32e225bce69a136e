import type { TableProgress, TargetTransaction } from '@mylab-sync/core'
import type { EngineContext } from './context.js'

/** Looks at the target in one transaction that changes nothing. */
export async function readTarget<T>(
  context: EngineContext,
  look: (target: TargetTransaction) => Promise<T>,
): Promise<T> {
  await using target = await context.target.begin()
  return await look(target)
}

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
  const transaction = await context.target.beginDrain({ waitMs: DRAIN_WAIT_MS })
  return committed(transaction, async (target) => work(target, await target.tables.all()))
}

async function committed<T>(begun: TargetTransaction, work: (target: TargetTransaction) => Promise<T>): Promise<T> {
  await using target = begun
  const result = await work(target)
  await target.commit()
  return result
}

/**
 * Does `work` unless another process is at work of this name: undefined then, at once. `stillAlone` throws lost-connection
 * where the target has been away since: another one may be at work, and what was committed last may be gone with a crash
 * or a restored backup.
 */
export async function exclusively<T>(
  context: EngineContext,
  name: string,
  work: (stillAlone: () => Promise<void>) => Promise<T>,
): Promise<T | undefined> {
  await using lock = await context.target.beginExclusive(name)
  if (!lock) return undefined
  return await work(async () => void (await lock.history.last()))
}
