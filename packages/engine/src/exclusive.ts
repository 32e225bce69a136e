import type { EngineContext } from './context.js'

/** Does `work` unless another process is at work of this name: undefined then, at once. */
export async function exclusively<T>(
  context: EngineContext,
  name: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  const lock = await context.target.beginExclusive(name)
  if (!lock) return undefined
  try {
    return await work()
  } finally {
    await lock.rollback()
  }
}
