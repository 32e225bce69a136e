import type { TargetTransaction } from '@mylab-sync/core'
import type { EngineContext } from './context.js'

/** Looks at the target in one transaction that changes nothing. */
export async function readTarget<T>(
  context: EngineContext,
  look: (target: TargetTransaction) => Promise<T>,
): Promise<T> {
  const target = await context.target.begin()
  try {
    return await look(target)
  } finally {
    await target.rollback()
  }
}
