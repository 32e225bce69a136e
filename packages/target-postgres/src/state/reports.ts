import type { ReportRecord, ReportStore } from '@mylab-sync/core'
import { iso, type StateSql } from './state-sql.js'

const RECORD = `SELECT number::float8 AS number, digest, ${iso('written_at')} AS "writtenAt" FROM sync_report ORDER BY number`

/** `sync_report`. */
export class Reports implements ReportStore {
  readonly #sql: StateSql

  constructor(sql: StateSql) {
    this.#sql = sql
  }

  async lockLast(): Promise<ReportRecord | null> {
    await this.#sql.rows('LOCK TABLE sync_report IN SHARE ROW EXCLUSIVE MODE')
    const [last] = await this.#sql.rows<ReportRecord & Record<string, unknown>>(`${RECORD} DESC LIMIT 1`)
    return last ?? null
  }

  async add({ number, digest }: Pick<ReportRecord, 'number' | 'digest'>): Promise<void> {
    await this.#sql.rows('INSERT INTO sync_report (number, digest) VALUES ($1, $2)', [number, digest])
  }

  async all(): Promise<ReportRecord[]> {
    return await this.#sql.rows<ReportRecord & Record<string, unknown>>(RECORD)
  }
}
