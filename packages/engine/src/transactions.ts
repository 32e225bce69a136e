import type { TableProgress, TargetTransaction } from '@mylab-sync/core'
import type { EngineContext } from './context.js'

/** Reads the target in one transaction that changes nothing. */
export async function readTarget<T>(
  context: Pick<EngineContext, 'target'>,
  look: (target: TargetTransaction) => Promise<T>,
): Promise<T> {
  await using target = await context.target.begin()
  return await look(target)
}

/** How long `betweenDrains` waits for a running drain. */
const BETWEEN_DRAINS_MS = 60_000

/** Runs `work` in a target transaction of its own; commits it when `work` is done, rolls it back when `work` fails. */
export async function writeTarget<T>(
  context: EngineContext,
  work: (target: TargetTransaction) => Promise<T>,
): Promise<T> {
  return committed(await context.target.begin(), work)
}

/**
 * As writeTarget, while no drain runs: every source change is drained either before or after what `work` writes. Throws
 * SyncError lock-timeout if a running drain does not end in time.
 */
export async function betweenDrains<T>(
  context: EngineContext,
  work: (target: TargetTransaction, states: ReadonlyMap<string, TableProgress>) => Promise<T>,
): Promise<T> {
  const transaction = await context.target.beginDrain({ waitMs: BETWEEN_DRAINS_MS })
  return committed(transaction, async (target) => work(target, await target.tables.all()))
}

async function committed<T>(begun: TargetTransaction, work: (target: TargetTransaction) => Promise<T>): Promise<T> {
  await using target = begun
  const result = await work(target)
  await target.commit()
  return result
}

/**
 * Runs `work` unless another process runs work of this name; then returns undefined at once. `stillAlone` throws
 * lost-connection if the connection to the target was lost since: another process may have started the work, and a crash or
 * a restored backup may have undone the last commits.
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
