import { isOpen } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { isTransactional } from '../model/model.js'
import type { Moment } from './moment.js'

/** Why this moment proves nothing of a table; null if it does. */
export async function obstacleTo(
  context: EngineContext,
  { states, model, drains }: Moment,
  table: string,
): Promise<string | null> {
  const progress = states.get(table)
  if (!progress || !isOpen(progress.state)) {
    const cause = progress?.problem ? `: ${progress.problem}` : ''
    return `it is ${progress?.state ?? 'discovered'}${cause}`
  }
  // Chunks and catch-up read it at other moments.
  if (progress.openedDrain > drains.first) return 'it has just been opened'
  const mapping = model.tables.get(table)
  if (mapping === undefined) return 'it is no longer selected'
  // Its rows are in no snapshot, so they are compared only if they have not changed since they were copied.
  if (!isTransactional(mapping.source)) {
    const now = await context.source.catalog.contentFingerprint(table)
    if (now !== progress.contentFingerprint) return 'it has changed since it was copied; it takes no triggers'
  }
  return null
}
