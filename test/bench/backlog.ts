import assert from 'node:assert/strict'
import { ServerSet } from '@mylab-sync/testkit'
import { measured, type Run } from '../support/cli.js'
import { contentOf } from '../support/content.js'

const NAME = 'backlog'
const MOST_MB = 256
const TABLES = ['a', 'b'] as const

/** 4: two million entries over 1.2 million keys. */
const SCALE = Number(process.env['BENCH_SCALE'] ?? 1)

const SCHEMA = `
  CREATE TABLE a (id INT NOT NULL PRIMARY KEY, v INT, t VARCHAR(200)) ENGINE=InnoDB;
  CREATE TABLE b (id INT NOT NULL PRIMARY KEY, a_id INT NULL, v INT, FOREIGN KEY (a_id) REFERENCES a (id) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB;
  INSERT INTO a SELECT seq, seq, REPEAT('x', 150) FROM seq_1_to_${200_000 * SCALE};
  INSERT INTO b SELECT seq, seq, seq FROM seq_1_to_${100_000 * SCALE}`
/** Half a million entries over 300,000 keys, with cascades that fire no trigger. */
const CHANGES = `
  UPDATE a SET v = v + 1; UPDATE b SET v = v + 1; UPDATE a SET v = v + 1 WHERE id <= ${199_000 * SCALE};
  DELETE FROM a WHERE id > ${199_000 * SCALE}; DELETE FROM a WHERE id < 500`

/** A backlog that waited for a drain: one target commit, every row equal, memory bounded. */
export async function backlog(): Promise<readonly object[]> {
  const servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
  try {
    await servers.createDatabases({ source: NAME, target: NAME })
    const app = await servers.sourceAdmin(NAME)
    const reader = await servers.targetAdmin(NAME)
    try {
      await app.query(SCHEMA)
      const cli = (...args: string[]): Promise<Run> => measured(servers, NAME, args)
      await cli('initial', '--create-tables')
      await app.query(CHANGES)
      const [[log]] = (await app.query(
        'SELECT COUNT(*) AS entries, COUNT(DISTINCT table_name, row_key) AS `keys` FROM sync_audit_log WHERE synced = 0',
      )) as unknown as [[{ entries: number; keys: number }]]
      const commits = async (): Promise<number> =>
        Number((await reader.query('SELECT number FROM mylab_sync.sync_drain')).rows[0]?.number)
      const before = await commits()
      const drained = await cli('database', '--once')
      const after = await commits()
      // the second drain of `--once` carries what control work made dirty: nothing
      assert.ok(after - before <= 2, `${after - before} target commits`)
      for (const table of TABLES) assert.equal(await contentOf(reader, table), await contentOf(app, table), table)
      assert.ok(drained.peakMb < MOST_MB, `${drained.peakMb} MB resident`)
      return [{ ...log, drains: after - before, seconds: drained.seconds, residentMb: drained.peakMb }]
    } finally {
      await reader.end()
      await app.end()
    }
  } finally {
    await servers.close()
  }
}
