import type {
  QuarantinedKey,
  QuarantinedRow,
  QuarantineStore,
  ReferencedValues,
  RowError,
  RowKey,
  SanitisedCount,
} from '@mylab-sync/core'
import type { StateSql } from './state-sql.js'

interface KeptReference {
  table_name: string
  row_key: string
  child_table: string
  edge: string
  tokens: string[]
}

const AT = `'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`

/** The source's ids are unsigned; the state stores ids from 2^63 on as negative numbers. */
function entryOf(text: string | null): bigint | null {
  return text === null ? null : BigInt.asUintN(64, BigInt(text))
}

/** Quarantined rows of `sync_parked` with their references, their errors, and counts of sanitised values. */
export class Quarantine implements QuarantineStore {
  readonly #sql: StateSql

  constructor(sql: StateSql) {
    this.#sql = sql
  }

  async add(table: string, rows: readonly QuarantinedRow[], drain: number): Promise<void> {
    const columns = [
      rows.map((row) => row.key),
      rows.map((row) => row.code),
      rows.map((row) => row.message),
      rows.map((row) => row.operation),
      rows.map((row) => row.digest),
    ]
    // One row per key: an older one is replaced, and its attempts are carried over.
    const older = await this.#sql.rows<{ row_key: string; since: string; attempts: number; entry_id: string | null }>(
      "DELETE FROM sync_parked WHERE reason = 'quarantined' AND table_name = $1 AND row_key = ANY($2::text[]) RETURNING row_key, since::text AS since, attempts, entry_id",
      [table, columns[0]],
    )
    await this.#sql.rows(
      `WITH kept AS (
         INSERT INTO sync_parked (table_name, row_key, drain_no, reason, is_start, since, attempts, error_code, error_message, operation, digest, entry_id)
         SELECT $1, u.k, $7, 'quarantined', true, coalesce(min(o.s), now()), coalesce(max(o.a), 0) + 1, max(u.c), max(u.m), max(u.o), max(u.d), max(o.e)
         FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) AS u(k, c, m, o, d)
         LEFT JOIN unnest($8::text[], $9::timestamptz[], $10::int[], $11::bigint[]) AS o(k, s, a, e) ON o.k = u.k GROUP BY u.k
         RETURNING row_key, error_code, error_message, operation, attempts)
       INSERT INTO sync_error_log (table_name, row_key, error_code, error_message, operation, attempts) SELECT $1, row_key, error_code, error_message, operation, attempts FROM kept`,
      [
        table,
        ...columns,
        drain,
        older.map((row) => row.row_key),
        older.map((row) => row.since),
        older.map((row) => row.attempts),
        older.map((row) => row.entry_id),
      ],
    )
    await this.#keepReferences(table, rows)
  }

  async #keepReferences(table: string, rows: readonly QuarantinedRow[]): Promise<void> {
    await this.#sql.rows('DELETE FROM sync_quarantined_reference WHERE table_name = $1 AND row_key = ANY($2::text[])', [
      table,
      rows.map((row) => row.key),
    ])
    for (const { key, references } of rows)
      for (const { child, edge, tokens } of references)
        await this.#sql.rows(
          'INSERT INTO sync_quarantined_reference (table_name, row_key, child_table, edge, tokens) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING',
          [table, key, child, edge, tokens],
        )
  }

  async all(): Promise<QuarantinedKey[]> {
    const rows = await this.#sql.rows<{
      table_name: string
      row_key: string
      digest: string | null
      entry: string | null
      message: string
    }>(
      "SELECT table_name, row_key, digest, entry_id::text AS entry, error_message AS message FROM sync_parked WHERE reason = 'quarantined' ORDER BY table_name, row_key",
    )
    if (rows.length === 0) return []
    const references = await this.#references()
    return rows.map(({ table_name: table, row_key: key, digest, entry, message }) => {
      return { table, key, digest, entry: entryOf(entry), message, references: references.get(table)?.get(key) ?? [] }
    })
  }

  async #references(): Promise<Map<string, Map<RowKey, ReferencedValues[]>>> {
    const tables = new Map<string, Map<RowKey, ReferencedValues[]>>()
    const rows = await this.#sql.rows<KeptReference & Record<string, unknown>>(
      'SELECT table_name, row_key, child_table, edge, tokens FROM sync_quarantined_reference',
    )
    for (const { table_name: table, row_key: key, child_table: child, edge, tokens } of rows) {
      const keys = tables.get(table) ?? new Map<RowKey, ReferencedValues[]>()
      tables.set(table, keys.set(key, [...(keys.get(key) ?? []), { child, edge, tokens }]))
    }
    return tables
  }

  async counts(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#sql.rows<{ table_name: string; n: number }>(
      "SELECT table_name, count(*)::int AS n FROM sync_parked WHERE reason = 'quarantined' GROUP BY 1",
    )
    return new Map(rows.map((row) => [row.table_name, row.n]))
  }

  async holdEntries(held: readonly { table: string; key: RowKey; entry: bigint }[]): Promise<void> {
    if (held.length === 0) return
    await this.#sql.rows(
      "UPDATE sync_parked p SET entry_id = u.e FROM unnest($1::text[], $2::text[], $3::bigint[]) AS u(t, k, e) WHERE p.reason = 'quarantined' AND p.table_name = u.t AND p.row_key = u.k",
      [held.map((h) => h.table), held.map((h) => h.key), held.map((h) => String(BigInt.asIntN(64, h.entry)))],
    )
  }

  async release(table: string, keys: readonly RowKey[]): Promise<void> {
    await this.#sql.rows(
      "DELETE FROM sync_parked WHERE reason = 'quarantined' AND table_name = $1 AND row_key = ANY($2::text[])",
      [table, keys],
    )
    await this.#sql.rows('DELETE FROM sync_quarantined_reference WHERE table_name = $1 AND row_key = ANY($2::text[])', [
      table,
      keys,
    ])
  }

  async retry(tables: readonly string[]): Promise<number> {
    const rows = await this.#sql.rows(
      "UPDATE sync_parked SET digest = NULL WHERE reason = 'quarantined' AND table_name = ANY($1) RETURNING 1",
      [tables],
    )
    return rows.length
  }

  async errors(of: { tables: readonly string[]; limit: number; history: boolean }): Promise<RowError[]> {
    const text = of.history
      ? `SELECT table_name, row_key, operation, attempts, error_code, error_message, to_char(at AT TIME ZONE 'UTC', ${AT}) AS at
         FROM sync_error_log WHERE table_name = ANY($1) ORDER BY id DESC LIMIT $2`
      : `SELECT table_name, row_key, operation, attempts, error_code, error_message, to_char(since AT TIME ZONE 'UTC', ${AT}) AS at
         FROM sync_parked WHERE reason = 'quarantined' AND table_name = ANY($1) ORDER BY since DESC, table_name, row_key LIMIT $2`
    const rows = await this.#sql.rows<Record<string, string | null> & { attempts: number }>(text, [of.tables, of.limit])
    return rows.map((row) => ({
      table: row['table_name'] ?? '',
      key: row['row_key'] ?? '',
      operation: row['operation'] ?? 'UPDATE',
      attempts: row.attempts,
      code: row['error_code'] ?? '',
      message: row['error_message'] ?? '',
      at: row['at'] ?? '',
    }))
  }

  async sanitised(): Promise<Omit<SanitisedCount, 'sampleKeys'>[]> {
    return await this.#sql.rows<Omit<SanitisedCount, 'sampleKeys'> & Record<string, unknown>>(
      `SELECT table_name AS table, column_name AS column, rule, rows::float8 AS rows FROM sync_sanitised
       ORDER BY table_name COLLATE "C", column_name COLLATE "C", rule`,
    )
  }

  async addSanitised(counts: readonly SanitisedCount[]): Promise<void> {
    for (const count of counts) {
      await this.#sql.rows(
        `INSERT INTO sync_sanitised AS s (table_name, column_name, rule, rows, sample_keys) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (table_name, column_name, rule) DO UPDATE SET rows = s.rows + EXCLUDED.rows, last_at = now(), sample_keys = (s.sample_keys || EXCLUDED.sample_keys)[1:5]`,
        [count.table, count.column, count.rule, count.rows, count.sampleKeys],
      )
    }
  }
}
