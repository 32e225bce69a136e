import type { Capture, TriggerTarget } from '@mylab-sync/core'
import { randomUUID } from 'node:crypto'
import { ownTables } from '../ddl/own-tables.js'
import type { SourceContext } from '../source-context.js'
import { recreateGuards, guardLog } from './change-log.js'
import { INSTALL_SESSION, installTriggers, triggerFingerprints } from './install.js'
import { guardStatements } from './log-guards.js'
import { createTrigger, triggersOf } from './trigger-text.js'

export class MysqlCapture implements Capture {
  readonly #context: SourceContext

  constructor(context: SourceContext) {
    this.#context = context
  }

  async install(...[targets, options]: Parameters<Capture['install']>): Promise<number> {
    const { pool, settings, server } = this.#context
    if (options.recreate) await recreateGuards(this.#context)
    else await guardLog(this.#context)
    return await pool.once((session) => installTriggers({ session, settings, server }, targets, options))
  }

  statements(...[targets, part]: Parameters<Capture['statements']>): string[] {
    const { settings, server } = this.#context
    const triggers = targets.flatMap((target) =>
      triggersOf(target, settings).map((trigger) => createTrigger(trigger, trigger.name, server.vendor === 'mariadb')),
    )
    if (part === 'triggers') return triggers
    return [...INSTALL_SESSION, ...ownTables(settings, randomUUID()), ...guardStatements(settings), ...triggers]
  }

  async fingerprints(targets: readonly TriggerTarget[]): Promise<ReadonlyMap<string, string>> {
    const { pool, settings } = this.#context
    return await pool.with((session) => triggerFingerprints(session, settings, targets))
  }
}
