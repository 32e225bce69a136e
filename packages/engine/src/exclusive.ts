import type { EngineContext } from './context.js'

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
  const lock = await context.target.beginExclusive(name)
  if (!lock) return undefined
  try {
    return await work(async () => void (await lock.lastDrain()))
  } finally {
    await lock.rollback()
  }
}
