import type { SourceSettings } from '../settings.js'
import { Session } from './session.js'

const KEPT_IDLE = 4

/** Lends connections without an upper bound, and keeps a few idle ones for reuse. */
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

  /** Runs `use` with an exclusive connection. After an error the connection is closed, since a transaction may be open on it. */
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

  /** Also closes connections in use: they may be waiting for a lock, and the process must end. */
  async close(): Promise<void> {
    this.#closed = true
    for (const session of this.#lent) session.destroy()
    const idle = this.#idle
    this.#idle = []
    await Promise.all(idle.map((session) => session.close()))
  }
}
