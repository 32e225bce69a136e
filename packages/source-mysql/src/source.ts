import { HIGHEST_OWN_ID } from '@mylab-sync/core'
import { randomUUID } from 'node:crypto'
import type {
  Finding,
  MendedLog,
  OtherObjects,
  PendingSummary,
  PollResult,
  Source,
  SourceCatalog,
  SourceDefinitions,
  SourceSnapshot,
  TableFingerprint,
  TableMapping,
  TriggerTarget,
} from '@mylab-sync/core'
import { actAsDefiner } from './capture/definer.js'
import { DDL_SESSION, INSTALL_SESSION, installTriggers, patiently, triggerSigns } from './capture/install.js'
import { guardStatements, isGuarded, makeGuards } from './capture/log-guards.js'
import { mendIds, nextEntryId } from './capture/log-ids.js'
import { createTrigger, triggersOf } from './capture/trigger-text.js'
import { readCatalog, readServer, readTableNames, type Server } from './catalog/catalog.js'
import { readOtherObjects } from './catalog/other-objects.js'
import { SessionPool } from './connection/pool.js'
import type { Session } from './connection/session.js'
import { ContentWatch } from './content-sign.js'
import { adopt, type Adopted } from './ddl/adopt.js'
import { isMigrated, migrate, ownTables } from './ddl/own-tables.js'
import { requireTrigger } from './ddl/require-right.js'
import { mayUninstall, uninstallStatements } from './ddl/uninstall.js'
import { pending, poll } from './pending.js'
import { clockAheadMs, preflight } from './preflight/preflight.js'
import { purge, type PurgeRequest } from './purge.js'
import type { SourceSettings } from './settings.js'
import { DefinitionWatch } from './snapshot/definitions.js'
import { seesStorage } from './snapshot/storage.js'
import { hasMarks, sealLog, sealNewLog, takeBack } from './snapshot/mark.js'
import { openSnapshot } from './snapshot/snapshot.js'
import * as sql from './sql.js'

/** Connects once, to tell a wrong address or password at the start. The database is named as the server spells it. */
export async function createSource(settings: SourceSettings): Promise<Source> {
  const pool = new SessionPool(settings)
  const { server, database } = await pool.with(async (session) => {
    // Another spelling finds it where names are in lower case by setting, but none of what the storage lists under it.
    const [row] = await session.rows('SELECT DATABASE()')
    return { server: await readServer(session), database: row?.[0] ?? settings.database }
  })
  return new MysqlSource(pool, { ...settings, database }, server)
}

class MysqlSource implements Source {
  readonly #pool: SessionPool
  readonly #settings: SourceSettings
  readonly #server: Server
  readonly #watch: DefinitionWatch
  readonly #contents = new ContentWatch()
  #seesStorage: Promise<boolean> | undefined

  constructor(pool: SessionPool, settings: SourceSettings, server: Server) {
    this.#pool = pool
    this.#settings = settings
    this.#server = server
    this.#watch = new DefinitionWatch(settings, server)
  }

  async catalog(): Promise<SourceCatalog> {
    return await this.#pool.with(async (session) => (await readCatalog(session, this.#settings)).catalog)
  }

  async otherObjects(): Promise<OtherObjects> {
    return await this.#pool.with((session) => readOtherObjects(session, this.#server, this.#settings))
  }

  async otherTables(isKnown: (table: string) => boolean): Promise<string[]> {
    return await this.#pool.with(async (session) => {
      const names = await readTableNames(session, this.#settings)
      if (names.every(isKnown)) return []
      const { catalog } = await readCatalog(session, this.#settings)
      return catalog.tables.map(({ name }) => name).filter((name) => !isKnown(name))
    })
  }

  async hasRows(table: string): Promise<boolean> {
    return await this.#pool.with(
      async (session) => (await session.rows(`SELECT 1 FROM ${sql.name(table)} LIMIT 1`)).length > 0,
    )
  }

  async definitions(...[options]: Parameters<Source['definitions']>): Promise<SourceDefinitions> {
    return await this.#pool.with((session) => this.#watch.definitions(session, options))
  }

  async fingerprints(): Promise<ReadonlyMap<string, TableFingerprint>> {
    return await this.#pool.with((session) => this.#watch.fingerprints(session, false))
  }

  async migrate(token: string = randomUUID()): Promise<void> {
    await this.#pool.with(async (session) => {
      await migrate(session, this.#settings, token)
      await sealNewLog(session, this.#settings)
    })
    await this.guardLog()
  }

  async adopt(): Promise<Adopted> {
    return await this.#installing((session) => adopt(session, this.#settings))
  }

  async guardLog(): Promise<boolean> {
    if (await this.#pool.with((session) => isGuarded(session, this.#settings))) return false
    return await this.#makeGuards()
  }

  async mendIds(): Promise<MendedLog | undefined> {
    const next = await this.#pool.with((session) => nextEntryId(session, this.#settings))
    if (next === null || next <= HIGHEST_OWN_ID) return undefined
    return await this.#installing((session) => mendIds(session, this.#settings, next))
  }

  #makeGuards(): Promise<boolean> {
    return this.#installing(async (session) => {
      await actAsDefiner(session, this.#server)
      return await makeGuards(session, this.#settings)
    })
  }

  async sealLog(seen: Parameters<Source['sealLog']>[0]): Promise<void> {
    await this.#pool.with((session) => sealLog(session, this.#settings, seen))
  }

  /** With a connection of its own, whose sql_mode and lock_wait_timeout are those of an installation afterwards. */
  async #installing<T>(use: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.#pool.acquire()
    try {
      return await use(session)
    } finally {
      session.destroy()
    }
  }

  async migrated(): Promise<boolean> {
    return await this.#pool.with((session) => isMigrated(session, this.#settings))
  }

  async installTriggers(
    targets: readonly TriggerTarget[],
    options: { readonly recreate: boolean; readonly done?: (table: string) => void },
  ): Promise<number> {
    if (options.recreate) await this.#makeGuards()
    else await this.guardLog()
    return await this.#installing((session) =>
      installTriggers({ session, settings: this.#settings, server: this.#server }, targets, options),
    )
  }

  triggerStatements(targets: readonly TriggerTarget[]): string[] {
    const replace = this.#server.vendor === 'mariadb'
    return targets.flatMap((target) =>
      triggersOf(target, this.#settings).map((trigger) => createTrigger(trigger, trigger.name, replace)),
    )
  }

  installStatements(targets: readonly TriggerTarget[]): string[] {
    const log = [...ownTables(this.#settings, randomUUID()), ...guardStatements(this.#settings)]
    return [...INSTALL_SESSION, ...log, ...this.triggerStatements(targets)]
  }

  async preflight(tables: readonly TableMapping[]): Promise<Finding[]> {
    return await this.#pool.with((session) => preflight(session, this.#settings, tables))
  }

  async clockAheadMs(): Promise<number> {
    return await this.#pool.with(clockAheadMs)
  }

  async triggerSigns(targets: readonly TriggerTarget[]): Promise<ReadonlyMap<string, string>> {
    return await this.#pool.with((session) => triggerSigns(session, this.#settings, targets))
  }

  /** Asked once: a right that is given later shows at the next start. */
  seesStorage(): Promise<boolean> {
    this.#seesStorage ??= this.#pool
      .with((session) => seesStorage(session, this.#server))
      .catch((error: unknown) => {
        this.#seesStorage = undefined
        throw error
      })
    return this.#seesStorage
  }

  async poll(): Promise<PollResult> {
    return await this.#pool.with((session) => poll(session, this.#settings))
  }

  async pending(): Promise<PendingSummary> {
    return await this.#pool.with((session) => pending(session, this.#settings))
  }

  async openSnapshot(): Promise<SourceSnapshot> {
    return await openSnapshot({ pool: this.#pool, settings: this.#settings, watch: this.#watch })
  }

  async takeBack(...[to, seen]: Parameters<Source['takeBack']>): Promise<void> {
    await this.#pool.with((session) => takeBack(session, this.#settings, to, seen))
  }

  async hasMarks(tokens: readonly string[]): Promise<boolean> {
    return await this.#pool.with((session) => hasMarks(session, this.#settings, tokens))
  }

  async contentSign(table: string): Promise<string> {
    return await this.#pool.with((session) => this.#contents.sign(session, this.#settings.database, table))
  }

  async purge(request: PurgeRequest): Promise<number> {
    return await this.#pool.with((session) => purge(session, this.#settings, request))
  }

  async uninstallStatements(): Promise<string[]> {
    return await this.#pool.with((session) => uninstallStatements(session, this.#settings))
  }

  async mayCapture(): Promise<void> {
    await this.#pool.with((session) => requireTrigger(session, this.#settings))
  }

  async mayUninstall(): Promise<void> {
    await this.#pool.with((session) => mayUninstall(session, this.#settings))
  }

  async run(statements: readonly string[]): Promise<void> {
    await this.#installing(async (session) => {
      await session.run(DDL_SESSION)
      for (const statement of statements) await patiently(session, statement, 'of a definition')
    })
  }

  async close(): Promise<void> {
    await this.#pool.close()
  }
}
