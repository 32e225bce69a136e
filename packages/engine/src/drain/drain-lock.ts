import { type LockHolder, SyncError } from '@mylab-sync/core'
import { type EngineContext, limitsOf } from '../context.js'
import { readTarget } from '../transactions.js'

/** Between two looks at who holds the lock. */
const LOOK_MS = 1_000
/** A transaction as old as this is told to who asks where things stand. */
const LONG_SECONDS = 60

interface Seen {
  readonly drain: number
  readonly pid: number | null
  readonly moved: string | null
}

/** Watches the lock of a drain while this process cannot have it. Another drain that makes headway is as good as one of its own. */
export class DrainLock {
  readonly #context: EngineContext
  #seen: Seen | undefined
  #first: number | undefined
  #since = 0
  #looked = Number.NEGATIVE_INFINITY

  constructor(context: EngineContext) {
    this.#context = context
  }

  /** Drains of others that have ended since it was looked at first. */
  get ended(): number {
    return (this.#seen?.drain ?? 0) - (this.#first ?? 0)
  }

  /** It was free. */
  got(): void {
    this.#seen = undefined
    this.#first = undefined
  }

  /** An error that names the holder, once in each time of `drainWaitMs` in which no drain has ended and the holder has begun no statement. */
  async stuck(): Promise<SyncError | undefined> {
    const now = performance.now()
    if (now - this.#looked < LOOK_MS) return undefined
    this.#looked = now
    const holder = await this.#context.target.drainHolder()
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
      ? 'ROLLBACK PREPARED in the target what pg_prepared_xacts lists'
      : `in the target: SELECT pg_terminate_backend(${pid})`
  const text = `no change was drained for ${seconds} s: ${who} holds the lock of a drain and does nothing`
  return new SyncError('lock-timeout', text, { side: 'target', remedy })
}

/** A sentence about a drain's lock that is held for long, or by whom this account may not look at. */
export function longHeld(holder: LockHolder | null): string | null {
  if (holder === null || (holder.seconds !== null && holder.seconds < LONG_SECONDS)) return null
  const since = holder.seconds === null ? '' : ` for ${Math.round(holder.seconds)} s`
  return `the lock of a drain is held${since} by ${holder.who}`
}
