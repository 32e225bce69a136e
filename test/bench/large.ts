import assert from 'node:assert/strict'
import { ServerSet } from '@mylab-sync/testkit'
import { measured } from '../support/cli.js'
import { textRows } from '../support/content.js'

const MOST_MB = Number(process.env['SYNC_MEMORY_LIMIT'] ?? 256)
const WIDE_ROWS = Number(process.env['BENCH_WIDE_ROWS'] ?? 5_000)
const TABLES = Number(process.env['BENCH_MANY_TABLES'] ?? 2_000)

const WIDE_TABLES = Number(process.env['BENCH_WIDE_TABLES'] ?? 400)
const COLUMNS = 150
const TYPES = [
  'INT',
  'BIGINT UNSIGNED',
  'VARCHAR(60)',
  'DECIMAL(12,3)',
  'DATETIME',
  "ENUM('yes', 'no')",
  'TEXT',
  'DATE',
]

/** Rows of 100 kB and one of 64 MB, copied and changed; memory follows the largest row, not the table. */
export async function wide(): Promise<readonly object[]> {
  return withServers('wide', async (servers, name) => {
    const app = await servers.sourceAdmin(name)
    const reader = await servers.targetAdmin(name)
    try {
      await app.query(`CREATE TABLE w (id INT PRIMARY KEY, v INT, b LONGBLOB) ENGINE=InnoDB;
        INSERT INTO w SELECT seq, seq, REPEAT(CHAR(seq % 256), 100000) FROM seq_1_to_${WIDE_ROWS}`)
      const copy = await measured(servers, name, ['initial', '--create-tables'])
      await app.query('UPDATE w SET v = v + 1')
      const drained = await measured(servers, name, ['database', '--once'])
      await app.query(`INSERT INTO w VALUES (0, 0, REPEAT('z', ${64 << 20}))`)
      const one = await measured(servers, name, ['database', '--once'])
      const mine = await textRows(app, 'SELECT id, v, SHA2(b, 256) FROM w ORDER BY id')
      const theirs = await textRows(reader, "SELECT id, v, encode(sha256(b), 'hex') FROM w ORDER BY id")
      assert.deepEqual(theirs, mine)
      const rows = { rows: WIDE_ROWS, bytesARow: 100_000 }
      return [
        { what: 'copy', ...rows, seconds: copy.seconds, residentMb: copy.peakMb, limitMb: MOST_MB },
        { what: 'drain', ...rows, seconds: drained.seconds, residentMb: drained.peakMb, limitMb: MOST_MB },
        { what: 'one row of 64 MB', seconds: one.seconds, residentMb: one.peakMb },
      ]
    } finally {
      await app.end()
      await reader.end()
    }
  })
}

export async function manyTables(): Promise<readonly object[]> {
  return withServers('many', async (servers, name) => {
    const app = await servers.sourceAdmin(name)
    try {
      for (let n = 0; n < TABLES; n++)
        await app.query(
          `CREATE TABLE t${n} (id INT PRIMARY KEY, v VARCHAR(20)) ENGINE=InnoDB; INSERT INTO t${n} VALUES (1, 'a'), (2, 'b')`,
        )
      const copy = await measured(servers, name, ['initial', '--create-tables'])
      for (let n = 0; n < TABLES; n++) await app.query(`UPDATE t${n} SET v = 'c' WHERE id = 1`)
      const drained = await measured(servers, name, ['database', '--once'])
      const reader = await servers.targetAdmin(name)
      try {
        for (let n = 0; n < TABLES; n++)
          assert.deepEqual(await textRows(reader, `SELECT id, v FROM t${n} ORDER BY id`), [['1', 'c'], ['2', 'b']]) // biome-ignore format: rows
      } finally {
        await reader.end()
      }
      return [
        { what: 'copy', tables: TABLES, seconds: copy.seconds, residentMb: copy.peakMb, limitMb: MOST_MB },
        { what: 'drain', tables: TABLES, seconds: drained.seconds, residentMb: drained.peakMb, limitMb: MOST_MB },
      ]
    } finally {
      await app.end()
    }
  })
}

/** A schema of 400 tables and 60,000 columns: what a process knows of it, and how often it reads it again, is its memory. */
export async function wideTables(): Promise<readonly object[]> {
  return withServers('wide_tables', async (servers, name) => {
    const app = await servers.sourceAdmin(name)
    try {
      const columns = Array.from({ length: COLUMNS - 1 }, (_, n) => `column_${n} ${TYPES[n % TYPES.length]}`)
      for (let n = 0; n < WIDE_TABLES; n++)
        await app.query(`CREATE TABLE wide_${n} (id INT PRIMARY KEY, ${columns.join(', ')}) ENGINE=InnoDB;
          INSERT INTO wide_${n} (id) VALUES (1), (2)`)
      const copy = await measured(servers, name, ['initial', '--create-tables'])
      await app.query('UPDATE wide_0 SET column_0 = 1')
      const drained = await measured(servers, name, ['database', '--once'])
      const size = { tables: WIDE_TABLES, columns: COLUMNS, limitMb: MOST_MB }
      return [
        { what: 'copy', ...size, seconds: copy.seconds, residentMb: copy.peakMb },
        { what: 'drain', ...size, seconds: drained.seconds, residentMb: drained.peakMb },
      ]
    } finally {
      await app.end()
    }
  })
}

async function withServers(
  name: string,
  use: (servers: ServerSet, name: string) => Promise<readonly object[]>,
): Promise<readonly object[]> {
  const servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
  try {
    await servers.createDatabases({ source: name, target: name })
    return await use(servers, name)
  } finally {
    await servers.close()
  }
}
