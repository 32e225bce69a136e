import type mysql from 'mysql2/promise'
import { random, type Random } from '../random.js'

const STATEMENTS: readonly ((r: Random) => string)[] = [
  (r) => `UPDATE pasien SET alamat = CONCAT('Jl. Baru ', ${r.int(1, 999)}) WHERE id = ${r.int(1, 48_500)}`,
  (r) =>
    `INSERT INTO kunjungan (pasien_id, dokter_id, masuk, biaya) SELECT id, ${r.int(1, 240)}, '2024-06-01 08:00:00', ${r.int(1, 900)}.25 FROM pasien WHERE id = ${r.int(1, 48_500)}`,
  (r) =>
    `UPDATE result SET nilai = ${r.int(1, 9_999)} / 7, divalidasi = '2024-06-01 08:00:00.000001' WHERE id = ${r.int(1, 70_000)}`,
  (r) => `DELETE FROM kunjungan WHERE id = ${r.int(1, 30_000)}`,
  (r) => `DELETE FROM pasien WHERE id = ${r.int(1, 48_500)}`,
  (r) =>
    `UPDATE IGNORE poli SET kode = IF(kode LIKE 'pol%' COLLATE utf8mb4_bin, UPPER(kode), LOWER(kode)) WHERE kode = 'pol${r.int(1, 25)}'`,
  (r) => `UPDATE IGNORE pasien SET id = id + 1000000 WHERE id = ${r.int(1, 48_500)}`,
  (r) => `DELETE FROM alat WHERE id = ${r.int(60, 180)}`,
  (r) =>
    `REPLACE INTO bayar VALUES ('KW${r.int(1_000_000, 1_000_400)}', ${r.int(0, 2)}, NULL, ${r.int(1, 99)}, 1, NULL)`,
  (r) => `INSERT INTO log_alat VALUES ('Alat ${r.int(1, 20)}', 'pesan', '2024-06-01 08:00:00')`,
  (r) =>
    `UPDATE pengaturan SET nilai = '{"v": ${r.int(1, 999)}, "teks": "a\\\\u0000b"}' WHERE nama = 'kunci.${r.int(1, 300)}'`,
]
/** Duplicates, foreign keys, lock waits and deadlocks, which concurrent writers cause each other. */
const PROVOKED = new Set([1062, 1205, 1213, 1451, 1452, 1761])

/** A small write load on the sample database. Ends when stopped, or at an error that writers do not cause each other. */
export class WriteLoad {
  statements = 0
  #stopping = false
  readonly #pauseMs: number
  readonly #running: Promise<unknown>

  /** `pauseMs`: the pause between two statements of a connection. */
  constructor(connections: readonly mysql.Connection[], seed: number, pauseMs: number) {
    this.#pauseMs = pauseMs
    this.#running = Promise.all(connections.map((connection, index) => this.#write(connection, random(seed + index))))
    // `stop` throws it
    this.#running.catch(() => {})
  }

  async #write(connection: mysql.Connection, r: Random): Promise<void> {
    await connection.query("SET SESSION sql_mode = '', innodb_lock_wait_timeout = 5")
    while (!this.#stopping) {
      const statement = r.pick(STATEMENTS)(r)
      await connection.query(statement).catch((error: { errno?: number }) => {
        if (!PROVOKED.has(error.errno ?? 0)) throw error
      })
      this.statements++
      await new Promise((resolve) => setTimeout(resolve, this.#pauseMs))
    }
  }

  /** Throws the error that a writer failed with. */
  async stop(): Promise<void> {
    this.#stopping = true
    await this.#running
  }
}
