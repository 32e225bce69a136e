import { counted } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { exclusively } from '../transactions.js'

/** Repairs ids of the change log that a client has chosen, before they make statements fail. Does nothing while control work runs elsewhere, which repairs them too. */
export async function mendLog(context: EngineContext): Promise<void> {
  await exclusively(context, 'maintain', () => mend(context))
}

/** As above, within control work. */
export async function mend(context: EngineContext): Promise<void> {
  const mended = await context.source.log.repairIds()
  if (mended === undefined) return
  const { entries, found, next } = mended
  const counter =
    next === null ? 'the counter will be lowered once a long transaction has ended' : `the next one gets the id ${next}`
  context.tell?.(
    `the next entry of the change log would have had the id ${found}, which a client chose (SET insert_id): ${counted(entries, 'entry', 'entries')} got other ids, ${counter}`,
  )
}
