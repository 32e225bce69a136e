import { sleep } from '@mylab-sync/runtime'
import { type TargetTransaction, SyncError } from '@mylab-sync/core'
import { type EngineContext, throwIfStopped } from '../context.js'
import { type Quiet, waitForQuiet } from './watch.js'

const CONTROL_WAIT_MS = 60_000
const CONTROL_PAUSE_MS = 250

/** Keeps work of this name of all processes out until it is disposed of. */
export async function holdOff(context: EngineContext, work: 'maintain' | 'verify'): Promise<TargetTransaction> {
  const until = performance.now() + CONTROL_WAIT_MS
  for (;;) {
    const lock = await context.target.beginExclusive(work)
    if (lock !== null) return lock
    throwIfStopped(context)
    if (performance.now() > until)
      throw new SyncError('lock-timeout', `work (${work}) of another process did not end in time`, {
        side: 'target',
        remedy: 'mylab-sync status; then mylab-sync cutover again',
      })
    await sleep(CONTROL_PAUSE_MS, context.signal)
  }
}

export interface StopRequest {
  /** Refuses captured writes at the source, instead of waiting until there are none. */
  readonly setReadOnly: boolean
  /** How long to wait for the application to stop writing, once everything else is done. */
  readonly waitMs: number
}

/** Refuses the application's writes if that was asked for, else waits until there are none; null if there still are. */
export async function stopWrites(context: EngineContext, request: StopRequest): Promise<Quiet | null> {
  if (!request.setReadOnly) return waitForQuiet(context, request.waitMs)
  const since = performance.now()
  await context.source.writes.forbid()
  const { mark } = await context.source.writes.look()
  return { mark, since }
}
