import type { SourceSettings } from '../settings.js'
import { Session } from './session.js'

const KEPT_IDLE = 4

/** Hands out connections; as many as the callers hold, a few of them kept for the next. */
export class SessionPool {
  readonly #settings: SourceSettings
  #idle: Session[] = []
  readonly #lent = new Set<Session>()
  #closed = false

  constructor(settings: SourceSettings) {
    this.#settings = settings
  }

  async acquire(): Promise<Session> {
    for (;;) {
      const session = this.#idle.pop() ?? (await Session.open(this.#settings))
      if (session.broken) continue
      for (const lent of this.#lent) if (lent.broken) this.#lent.delete(lent)
      this.#lent.add(session)
      return session
    }
  }

  release(session: Session): void {
    this.#lent.delete(session)
    if (session.broken) return
    if (this.#closed || this.#idle.length >= KEPT_IDLE) void session.close()
    else this.#idle.push(session)
  }

  /** Runs `use` with a connection of its own; one that failed is not used again, since a transaction may be open on it. */
  async with<T>(use: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.acquire()
    try {
      const result = await use(session)
      this.release(session)
      return result
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  /** Runs `use` on a connection that is closed afterwards, for work that changes session settings. */
  async once<T>(use: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.acquire()
    try {
      return await use(session)
    } finally {
      session.destroy()
    }
  }

  /** Also ends what is still at work: it may wait for a lock, and the process has to end. */
  async close(): Promise<void> {
    this.#closed = true
    for (const session of this.#lent) session.destroy()
    const idle = this.#idle
    this.#idle = []
    await Promise.all(idle.map((session) => session.close()))
  }
}
