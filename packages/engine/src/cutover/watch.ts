import type { EngineContext } from '../context.js'

/** The log must not move for this long before the switch, and for this long before it is worth a look at what is left. */
const QUIET_MS = 2_000
const SETTLED_MS = 400

/**
 * Watches whether the application still writes. Entries that drains of ours acknowledge, and the log's seal, do not count.
 * Where captured writes are refused, a refused one may move the log, and does not count either.
 */
export class LogWatch {
  readonly #context: EngineContext
  readonly #isForbidden: boolean
  #mark = ''
  #moved: number
  #newest: number

  private constructor(context: EngineContext, forbiddenSince: number | null) {
    this.#context = context
    this.#isForbidden = forbiddenSince !== null
    this.#moved = forbiddenSince ?? performance.now()
    this.#newest = this.#moved
  }

  /** `forbiddenSince`: captured writes are refused, from this time on. */
  static async begin(
    context: EngineContext,
    { forbiddenSince }: { readonly forbiddenSince: number | null },
  ): Promise<LogWatch> {
    const watch = new LogWatch(context, forbiddenSince)
    await watch.look()
    return watch
  }

  /** Moves whenever a captured write was tried. */
  get mark(): string {
    return this.#mark
  }

  /** When the last write was captured or refused, on the clock of `performance.now()`. */
  get since(): number {
    return this.#newest
  }

  /** Whether nothing has moved for so long that the switch may follow. */
  get isQuiet(): boolean {
    return this.#isForbidden || performance.now() - this.#moved >= QUIET_MS
  }

  async look(): Promise<void> {
    if (this.#isForbidden) return
    const { mark, idleMs } = await this.#context.source.writes.look()
    const now = performance.now()
    if (mark !== this.#mark) this.#moved = now
    this.#mark = mark
    this.#newest = now - (idleMs ?? 0)
  }

  /** Whether nobody was writing at the last look: nothing has moved for a while, and no transaction that has written is open. */
  async isSettled(): Promise<boolean> {
    if (this.#isForbidden) return true
    return performance.now() - this.#moved >= SETTLED_MS && !(await this.#context.source.writes.areOpen())
  }

  /** Whether nothing was written since the last look. */
  async isStill(): Promise<boolean> {
    const { writes, log } = this.#context.source
    if ((await log.poll()).pending) return false
    if (this.#isForbidden) return true
    return (await writes.look()).mark === this.#mark && !(await writes.areOpen())
  }
}
