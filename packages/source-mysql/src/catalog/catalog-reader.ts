import type {
  ApplicationObject,
  CatalogReader,
  OtherObjects,
  SourceCatalog,
  SourceDefinitions,
  TableFingerprint,
} from '@mylab-sync/core'
import { ContentWatch } from '../content-fingerprint.js'
import { seesStorage } from '../snapshot/storage.js'
import type { SourceContext } from '../source-context.js'
import * as sql from '../sql.js'
import { readCatalog, readTableNames } from './catalog.js'
import { readApplicationObjects, readOtherObjects } from './other-objects.js'

export class MysqlCatalog implements CatalogReader {
  readonly #context: SourceContext
  readonly #contents = new ContentWatch()
  #seesStorage: Promise<boolean> | undefined

  constructor(context: SourceContext) {
    this.#context = context
  }

  async read(): Promise<SourceCatalog> {
    const { pool, settings } = this.#context
    return await pool.with(async (session) => (await readCatalog(session, settings)).catalog)
  }

  async definitions(...[options]: Parameters<CatalogReader['definitions']>): Promise<SourceDefinitions> {
    const { pool, watch } = this.#context
    return await pool.with((session) => watch.definitions(session, options))
  }

  async fingerprints(): Promise<ReadonlyMap<string, TableFingerprint>> {
    const { pool, watch } = this.#context
    return await pool.with((session) => watch.fingerprints(session, false))
  }

  async otherObjects(): Promise<OtherObjects> {
    const { pool, settings, server } = this.#context
    return await pool.with((session) => readOtherObjects(session, server, settings))
  }

  async applicationObjects(): Promise<ApplicationObject[]> {
    const { pool, settings } = this.#context
    return await pool.with((session) => readApplicationObjects(session, settings))
  }

  async otherTables(isKnown: (table: string) => boolean): Promise<string[]> {
    const { pool, settings } = this.#context
    return await pool.with(async (session) => {
      const names = await readTableNames(session, settings)
      if (names.every(isKnown)) return []
      const { catalog } = await readCatalog(session, settings)
      return catalog.tables.map(({ name }) => name).filter((name) => !isKnown(name))
    })
  }

  async hasRows(table: string): Promise<boolean> {
    return await this.#context.pool.with(
      async (session) => (await session.rows(`SELECT 1 FROM ${sql.name(table)} LIMIT 1`)).length > 0,
    )
  }

  /** Every session has the server tell the counter from the storage (`information_schema_stats_expiry = 0`). */
  async nextNumber(table: string, column: string): Promise<bigint> {
    const { pool, settings } = this.#context
    // DOUBLE is allowed, and prints as 1e20.
    const statement = `SELECT AUTO_INCREMENT, (SELECT CAST(MAX(${sql.name(column)}) AS DECIMAL(65)) FROM ${sql.name(table)})
      FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${sql.text(settings.database)} AND TABLE_NAME = ${sql.text(table)}`
    const [[counter, highest] = []] = await pool.with((session) => session.definitions(statement))
    const after = BigInt(highest ?? 0) + 1n
    // NULL until the first row.
    const next = BigInt(counter ?? 1)
    return next > after ? next : after
  }

  /** Read once: a right granted later takes effect at the next start. */
  seesStorage(): Promise<boolean> {
    const { pool, server } = this.#context
    this.#seesStorage ??= pool
      .with((session) => seesStorage(session, server))
      .catch((error: unknown) => {
        this.#seesStorage = undefined
        throw error
      })
    return this.#seesStorage
  }

  async contentFingerprint(table: string): Promise<string> {
    const { pool, settings } = this.#context
    return await pool.with((session) => this.#contents.fingerprint(session, settings.database, table))
  }
}
