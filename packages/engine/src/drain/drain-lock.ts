import { type LockHolder, SyncError } from '@mylab-sync/core'
import { type EngineContext, limitsOf } from '../context.js'
import { readTarget } from '../transactions.js'

/** Between two looks at the lock's holder. */
const LOOK_MS = 1_000
/** Status reports a holder whose transaction is at least as old as this. */
const LONG_SECONDS = 60

interface Seen {
  readonly drain: number
  readonly pid: number | null
  readonly moved: string | null
}

/** Watches the drain lock while another process holds it. Another drain that makes progress counts as our own. */
export class DrainLock {
  readonly #context: EngineContext
  #seen: Seen | undefined
  #first: number | undefined
  #since = 0
  #looked = Number.NEGATIVE_INFINITY

  constructor(context: EngineContext) {
    this.#context = context
  }

  /** Drains of other processes that ended since the first look. */
  get ended(): number {
    return (this.#seen?.drain ?? 0) - (this.#first ?? 0)
  }

  /** Forgets the holder: this process got the lock. */
  got(): void {
    this.#seen = undefined
    this.#first = undefined
  }

  /** Returns an error that names the holder, once per `drainWaitMs` in which no drain ended and the holder started no statement. */
  async stuck(): Promise<SyncError | undefined> {
    const now = performance.now()
    if (now - this.#looked < LOOK_MS) return undefined
    this.#looked = now
    const holder = await this.#context.target.lockHolder('drain')
    const { number: drain } = await readTarget(this.#context, (target) => target.history.last())
    this.#first ??= drain
    if (this.#hasMoved({ drain, pid: holder?.pid ?? null, moved: holder?.moved ?? null }) || holder === null) {
      this.#since = now
      return undefined
    }
    if (now - this.#since < limitsOf(this.#context).drainWaitMs) return undefined
    const seconds = Math.round((now - this.#since) / 1000)
    this.#since = now
    return stuckOn(holder, seconds)
  }

  #hasMoved(seen: Seen): boolean {
    const last = this.#seen
    this.#seen = seen
    return last?.drain !== seen.drain || last.pid !== seen.pid || last.moved !== seen.moved
  }
}

function stuckOn({ who, pid }: LockHolder, seconds: number): SyncError {
  const remedy =
    pid === null
      ? 'in the target: ROLLBACK PREPARED for each transaction that pg_prepared_xacts lists'
      : `in the target: SELECT pg_terminate_backend(${pid})`
  const text = `no change was drained for ${seconds} s: ${who} holds the drain lock and is idle`
  return new SyncError('lock-timeout', text, { side: 'target', remedy })
}

/** Returns a sentence about a drain lock that is held for long, or whose holder this account may not see; null otherwise. */
export function longHeld(holder: LockHolder | null): string | null {
  if (holder === null || (holder.seconds !== null && holder.seconds < LONG_SECONDS)) return null
  const since = holder.seconds === null ? '' : ` for ${Math.round(holder.seconds)} s`
  return `the drain lock has been held${since} by ${holder.who}`
}
