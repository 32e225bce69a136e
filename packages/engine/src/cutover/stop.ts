import { sleep } from '@mylab-sync/runtime'
import { SyncError, type TargetTransaction } from '@mylab-sync/core'
import { type EngineContext, throwIfStopped } from '../context.js'
import { type Round, type Standing, takeRound } from './round.js'
import { LogWatch } from './watch.js'

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
      throw new SyncError(
        'lock-timeout',
        `work (${work}) of another process did not end in time${await holderOf(context, work)}`,
        {
          side: 'target',
          remedy: 'mylab-sync status; then mylab-sync cutover again',
        },
      )
    await sleep(CONTROL_PAUSE_MS, context.signal)
  }
}

async function holderOf({ target }: EngineContext, work: 'maintain' | 'verify'): Promise<string> {
  const holder = await target.lockHolder(work)
  if (holder === null) return ''
  const since = holder.seconds === null ? '' : `, whose transaction began ${Math.round(holder.seconds)} s ago`
  return `: ${holder.who}${since}`
}

export interface StopRequest {
  /** Refuses captured writes at the source, instead of waiting until there are none. */
  readonly setReadOnly: boolean
  /** How long to wait for the application to stop writing, once everything else is done. */
  readonly waitMs: number
}

const LOOK_MS = 200
/** Long enough to see that nobody writes. */
const MIN_WAIT_MS = 3_000
/** What an idle source leaves to do is done in two. */
const MAX_ROUNDS = 10
/** While the application writes, so that little is left when it stops. */
const ROUND_MS = 2_000

/** The source is not written, and all of it was compared. */
export interface Quiet extends Pick<Round, 'standing' | 'keys'> {
  readonly watch: LogWatch
}

/** Rounds from the stop of the writes on; one at a time. */
export class Stopping {
  readonly #context: EngineContext
  readonly #watch: LogWatch
  readonly #until: number
  #standing: Standing
  #last = Number.NEGATIVE_INFINITY
  /** Where the log was when a round began that left nothing to do. */
  #complete: string | undefined
  #keys = 0
  #rounds = 0

  private constructor(
    context: EngineContext,
    watch: LogWatch,
    { standing, until }: { readonly standing: Standing; readonly until: number },
  ) {
    this.#context = context
    this.#watch = watch
    this.#standing = standing
    this.#until = until
  }

  /** Refuses the application's writes if that was asked for. */
  static async begin(context: EngineContext, request: StopRequest, standing: Standing): Promise<Stopping> {
    const began = performance.now()
    if (request.setReadOnly) await context.source.writes.forbid()
    const watch = await LogWatch.begin(context, { forbiddenSince: request.setReadOnly ? began : null })
    return new Stopping(context, watch, { standing, until: began + Math.max(MIN_WAIT_MS, request.waitMs) })
  }

  get isOver(): boolean {
    return performance.now() > this.#until
  }

  /** Takes rounds until nobody writes and nothing is left; returns null if somebody still writes in the end. */
  async untilQuiet(): Promise<Quiet | Pick<Round, 'findings'> | null> {
    for (;;) {
      throwIfStopped(this.#context)
      await this.#watch.look()
      const { mark, isQuiet } = this.#watch
      if (this.#complete === mark) {
        if (isQuiet) return { standing: this.#standing, keys: this.#keys, watch: this.#watch }
        await sleep(LOOK_MS, this.#context.signal)
        continue
      }
      const settled = await this.#watch.isSettled()
      if (this.isOver && (!settled || this.#rounds >= MAX_ROUNDS)) return null
      if (settled || performance.now() - this.#last >= ROUND_MS) {
        const findings = await this.#round(settled)
        if (findings.length > 0) return { findings }
      } else await sleep(LOOK_MS, this.#context.signal)
    }
  }

  async #round(settled: boolean): Promise<Round['findings']> {
    const { mark } = this.#watch
    const round = await takeRound(this.#context, this.#standing, { settled })
    this.#last = performance.now()
    this.#standing = round.standing
    this.#keys = settled ? this.#keys + round.keys : 0
    this.#rounds = settled ? this.#rounds + 1 : 0
    if (round.isComplete) this.#complete = mark
    return round.findings
  }

  /** Something was written, or committed, after all. */
  goOn(): void {
    this.#complete = undefined
  }
}
