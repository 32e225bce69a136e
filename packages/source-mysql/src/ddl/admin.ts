import type { Finding, SourceAdmin, TableMapping } from '@mylab-sync/core'
import { randomUUID } from 'node:crypto'
import { guardLog } from '../capture/change-log.js'
import { readServer } from '../catalog/catalog.js'
import { DDL_SESSION, runWithShortLocks } from '../capture/install.js'
import { clockAheadMs, preflight } from '../preflight/preflight.js'
import { sealNewLog } from '../snapshot/acknowledge.js'
import type { SourceContext } from '../source-context.js'
import { adopt, type Adopted } from './adopt.js'
import { isMigrated, migrate } from './own-tables.js'
import { requireTrigger } from './require-right.js'
import { requireUninstall, uninstallStatements } from './uninstall.js'

export class MysqlAdmin implements SourceAdmin {
  readonly #context: SourceContext

  constructor(context: SourceContext) {
    this.#context = context
  }

  async migrate(token: string = randomUUID()): Promise<void> {
    const { pool, settings } = this.#context
    await pool.with(async (session) => {
      await migrate(session, settings, token)
      await sealNewLog(session, settings)
    })
    await guardLog(this.#context)
  }

  async migrated(): Promise<boolean> {
    const { pool, settings } = this.#context
    return await pool.with((session) => isMigrated(session, settings))
  }

  async adopt(): Promise<Adopted> {
    const { pool, settings } = this.#context
    return await pool.once((session) => adopt(session, settings))
  }

  async preflight(tables: readonly TableMapping[]): Promise<Finding[]> {
    const { pool, settings } = this.#context
    return await pool.with((session) => preflight(session, settings, tables))
  }

  async clockAheadMs(): Promise<number> {
    return await this.#context.pool.with(clockAheadMs)
  }

  async version(): Promise<string> {
    const { vendor, version } = await this.#context.pool.with(readServer)
    return `${vendor === 'mariadb' ? 'MariaDB' : 'MySQL'} ${version}`
  }

  async requireRights(work: 'capture' | 'uninstall'): Promise<void> {
    const { pool, settings } = this.#context
    const requireFor = work === 'capture' ? requireTrigger : requireUninstall
    await pool.with((session) => requireFor(session, settings))
  }

  async uninstallStatements(): Promise<string[]> {
    const { pool, settings } = this.#context
    return await pool.with((session) => uninstallStatements(session, settings))
  }

  async run(statements: readonly string[]): Promise<void> {
    await this.#context.pool.once(async (session) => {
      await session.run(DDL_SESSION)
      for (const statement of statements) await runWithShortLocks(session, statement, 'of a definition')
    })
  }
}
