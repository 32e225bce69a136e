import type { ChangeEntry, SnapshotEntries } from '@mylab-sync/core'
import type { TextRow } from '../connection/session.js'
import { PENDING_INDEX } from '../ddl/own-tables.js'
import * as sql from '../sql.js'
import { idIn, MALFORMED_UNSYNCED } from './acknowledge.js'
import type { Reader } from './reader.js'

const PENDING = 'synced = 0 AND retry_count = 0'
const BY_PENDING = `FORCE INDEX (${sql.name(PENDING_INDEX)})`
const ENTRY_BATCH = 4_000
const ID_BATCH = 50_000

export class EntryReads implements SnapshotEntries {
  readonly #reader: Reader
  readonly #log: string

  constructor(reader: Reader, auditTable: string) {
    this.#reader = reader
    this.#log = sql.name(auditTable)
  }

  async after(id: bigint, limit: number): Promise<ChangeEntry[]> {
    return await this.#entries(
      `${BY_PENDING} WHERE ${PENDING} AND id > ${sql.integer(id)} ORDER BY id LIMIT ${sql.integer(limit)}`,
    )
  }

  async *pendingIdsUpTo(id: bigint): AsyncGenerator<readonly bigint[], void, void> {
    for (let after = 0n; ; ) {
      const rows = await this.#reader.texts(
        `SELECT id FROM ${this.#log} ${BY_PENDING} WHERE ${PENDING} AND id > ${sql.integer(after)} AND id <= ${sql.integer(id)} ORDER BY id LIMIT ${ID_BATCH}`,
      )
      if (rows.length > 0) yield rows.map(([value]) => BigInt(value ?? 0))
      if (rows.length < ID_BATCH) return
      after = BigInt(rows.at(-1)?.[0] ?? 0)
    }
  }

  async byId(ids: readonly bigint[]): Promise<ChangeEntry[]> {
    const entries: ChangeEntry[] = []
    for (let start = 0; start < ids.length; start += ENTRY_BATCH) {
      const those = idIn(ids.slice(start, start + ENTRY_BATCH))
      for (const entry of await this.#entries(`WHERE ${those} ORDER BY id`)) entries.push(entry)
    }
    return entries
  }

  async malformedDrains(tables: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#reader.texts(
      `SELECT table_name, COUNT(DISTINCT drain_no) FROM ${this.#log} ${BY_PENDING} WHERE ${MALFORMED_UNSYNCED} AND table_name IN (${tables.map(sql.text).join(', ')}) GROUP BY table_name`,
    )
    return new Map(rows.map(([table, drains]) => [table ?? '', Number(drains)]))
  }

  async #entries(rest: string): Promise<ChangeEntry[]> {
    const rows = await this.#reader.texts(
      `SELECT id, table_name, operation, row_key, old_key, flags FROM ${this.#log} ${rest}`,
    )
    return rows.map(entry)
  }
}

function entry(row: TextRow): ChangeEntry {
  const operation = row[2]
  return {
    id: BigInt(row[0] ?? 0),
    table: row[1] ?? '',
    // An unknown operation may be any of the three; the closure follows a DELETE furthest.
    operation: operation === 'INSERT' || operation === 'UPDATE' ? operation : 'DELETE',
    rowKey: row[3] ?? '',
    oldKey: row[4] ?? null,
    layout: Number(row[5]),
  }
}
