import { isOpen, TABLE_STATES } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { readTarget } from '../transactions.js'

/** Whether a drain is needed even without entries: the two sides' drain numbers differ, or an open table has parked keys. */
export function isDrainOwed(context: EngineContext, sourceDrain: number): Promise<boolean> {
  return readTarget(context, async (target) => {
    if ((await target.history.last()).number !== sourceDrain) return true
    return await target.parked.isAnyOf(TABLE_STATES.filter(isOpen))
  })
}
