import {
  type ChangeLog,
  type DrainName,
  MAX_OWN_ID,
  type LogPosition,
  type PendingSummary,
  type PollResult,
  type RepairedIds,
} from '@mylab-sync/core'
import { countSynced, pending, poll } from '../pending.js'
import { purge, type PurgeRequest } from '../purge.js'
import { hasWatermarks, sealLog, takeBack } from '../snapshot/acknowledge.js'
import type { SourceContext } from '../source-context.js'
import { actAsDefiner } from './definer.js'
import { isGuarded, createGuards } from './log-guards.js'
import { nextEntryId, repairIds } from './log-ids.js'

export class MysqlChangeLog implements ChangeLog {
  readonly #context: SourceContext

  constructor(context: SourceContext) {
    this.#context = context
  }

  async poll(): Promise<PollResult> {
    const { pool, settings } = this.#context
    return await pool.with((session) => poll(session, settings))
  }

  async pending(): Promise<PendingSummary> {
    const { pool, settings } = this.#context
    return await pool.with((session) => pending(session, settings))
  }

  async countSynced(): Promise<number> {
    const { pool, settings } = this.#context
    return await pool.with((session) => countSynced(session, settings))
  }

  async guard(): Promise<boolean> {
    return await guardLog(this.#context)
  }

  async repairIds(): Promise<RepairedIds | undefined> {
    const { pool, settings } = this.#context
    const next = await pool.with((session) => nextEntryId(session, settings))
    if (next === null || next <= MAX_OWN_ID) return undefined
    return await pool.once((session) => repairIds(session, settings, next))
  }

  async seal(seen: LogPosition): Promise<void> {
    const { pool, settings } = this.#context
    await pool.with((session) => sealLog(session, settings, seen))
  }

  async hasWatermarks(tokens: readonly string[]): Promise<boolean> {
    const { pool, settings } = this.#context
    return await pool.with((session) => hasWatermarks(session, settings, tokens))
  }

  async takeBack(to: DrainName, seen: LogPosition): Promise<void> {
    const { pool, settings } = this.#context
    await pool.with((session) => takeBack(session, settings, to, seen))
  }

  async purge(request: PurgeRequest): Promise<number> {
    const { pool, settings } = this.#context
    return await pool.with((session) => purge(session, settings, request))
  }
}

export async function guardLog(context: SourceContext): Promise<boolean> {
  if (await context.pool.with((session) => isGuarded(session, context.settings))) return false
  return await recreateGuards(context)
}

export function recreateGuards({ pool, settings, server }: SourceContext): Promise<boolean> {
  return pool.once(async (session) => {
    await actAsDefiner(session, server)
    return await createGuards(session, settings)
  })
}
