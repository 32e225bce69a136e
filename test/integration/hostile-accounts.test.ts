import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import mysql from 'mysql2/promise'
import { drain, loadModel } from '@mylab-sync/engine'
import { ServerSet } from '@mylab-sync/testkit'
import { textRows } from '../support/content.js'
import { assertEqual, drainNow, type Installation, settle, states, withCopied } from '../support/installation.js'

let servers: ServerSet
before(async () => {
  servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
})
after(() => servers.close())

const SCHEMA = `
  CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE plain (code VARCHAR(20) PRIMARY KEY, v INT) ENGINE=InnoDB;
  INSERT INTO a (v) VALUES (1), (2), (3); INSERT INTO plain VALUES ('one', 1)`
const TABLES = ['a', 'plain'] as const

/** An account of the application that may do no more than these. */
async function stranger(at: Installation, name: string, grants: readonly string[]): Promise<mysql.Connection> {
  await at.app.query(`CREATE USER '${name}'@'%' IDENTIFIED BY 'pass'`)
  for (const grant of grants) await at.app.query(`GRANT ${grant} TO '${name}'@'%'`)
  const { host, port } = servers.source
  const [row] = await textRows(at.app, 'SELECT DATABASE()')
  return mysql.createConnection({
    host,
    port,
    user: name,
    password: 'pass',
    database: row?.[0] ?? '',
    multipleStatements: true,
  })
}

/** Beyond what a number holds exactly, what the target's integers hold, and the last that there is; rolled back, no entry shows it. */
const JUMPS: Record<string, string> = {
  'beyond exact numbers': "SET insert_id = 9007199254740993; INSERT INTO plain VALUES ('x1', 1)",
  'beyond signed integers': "SET insert_id = 9223372036854775809; INSERT INTO plain VALUES ('x2', 1)",
  'just below them': "SET insert_id = 9007199254740990; INSERT INTO plain VALUES ('x3', 1), ('x4', 1), ('x5', 1)",
  'to the end': "SET insert_id = 18446744073709551614; INSERT INTO plain VALUES ('x6', 1)",
  'rolled back': "BEGIN; SET insert_id = 18446744073709551614; INSERT INTO plain VALUES ('x7', 1); ROLLBACK",
}

async function isFound({ source }: Installation): Promise<boolean> {
  return (await source.preflight([])).some(({ code }) => code === 'source-log-ids')
}

test('an id of the change log that an account with INSERT alone has chosen ends no drain and no write', async (t) => {
  await withCopied(servers, { name: 'log_ids', schema: SCHEMA }, async (at) => {
    const told: string[] = []
    const context = { ...at.context, tell: (line: string) => void told.push(line) }
    const writer = await stranger(at, 'jumper', ['INSERT ON log_ids.plain'])
    try {
      for (const [name, statements] of Object.entries(JUMPS))
        await t.test(name, async () => {
          told.length = 0
          await writer.query(statements)
          if (name !== 'rolled back') {
            // As it is, before control work comes to it.
            assert.equal((await drain(context, await loadModel(context))).kind, 'done')
            await assertEqual(at, TABLES)
          }
          assert.ok(await isFound(at))
          await settle({ ...at, context })
          assert.match(
            told[0] ?? '',
            /^the next entry of the change log would have had the id \d{16,}, .* the next one gets the id \d{1,16}$/,
          )
          await at.app.query('INSERT INTO a (v) VALUES (7); UPDATE plain SET v = v + 1')
          await drainNow(at)
          await assertEqual(at, TABLES)
          assert.deepEqual(await states(at), { a: 'live', plain: 'live' })
          const highest = 'SELECT COUNT(*), SUM(synced = 0) FROM sync_audit_log WHERE id > 9007199254740991'
          assert.deepEqual(await textRows(at.app, highest), [['0', null]])
          assert.ok(!(await isFound(at)))
        })
    } finally {
      await writer.end()
    }
  })
})

/** `F` stands for the flags that the triggers of table a write. */
const FORGED: Record<string, string> = {
  'of no table of the database': "VALUES ('nowhere', 'INSERT', '1', NULL, F, 0, NULL, 0, NULL)",
  'of our own tables': "VALUES ('sync_instance', 'DELETE', 'default', NULL, F, 0, NULL, 0, NULL)",
  'of keys that no row has': "VALUES ('a', 'DELETE', '99999', '1', F, 0, NULL, 0, NULL)",
  'of a key that is none': "VALUES ('a', 'UPDATE', 'x,y', NULL, F, 0, NULL, 0, NULL)",
  'of a long key': "VALUES ('a', 'UPDATE', REPEAT('9', 6500), REPEAT('9', 6500), F, 0, NULL, 0, NULL)",
  'of another layout': "VALUES ('a', 'UPDATE', '1', NULL, 4294967295, 0, NULL, 0, NULL)",
  'of no operation': "VALUES ('a', '', '1', NULL, F, 0, NULL, 0, NULL)",
  'tried less than never': "VALUES ('a', 'UPDATE', '1', NULL, F, 0, NULL, -7, NULL)",
  'of another state': "VALUES ('a', 'UPDATE', '1', NULL, F, -1, NULL, 0, NULL)",
  'of a drain that never was': "VALUES ('a', 'UPDATE', '1', NULL, F, 1, 18446744073709551615, 0, '2001-01-01')",
  'of a drain to come': "VALUES ('a', 'UPDATE', '1', NULL, F, 1, 9007199254740991, 0, '2001-01-01')",
}

test('entries that somebody with INSERT on the change log alone forges cost their own table at most, and never for long', async (t) => {
  await withCopied(servers, { name: 'log_forged', schema: SCHEMA }, async (at) => {
    const writer = await stranger(at, 'forger', ['INSERT ON log_forged.sync_audit_log', 'INSERT ON log_forged.a'])
    try {
      await at.app.query('UPDATE a SET v = v + 1')
      const [flags] = await textRows(at.app, "SELECT MAX(flags) FROM sync_audit_log WHERE table_name = 'a'")
      for (const [name, values] of Object.entries(FORGED))
        await t.test(name, async () => {
          await writer.query(
            `SET sql_mode = '', timestamp = 1; INSERT INTO sync_audit_log (table_name, operation, row_key, old_key, flags, synced, drain_no, retry_count, synced_at) ${values.replace('F', flags?.[0] ?? '')}`,
          )
          await writer.query('INSERT INTO a (v) VALUES (9)')
          assert.equal((await drainNow(at)).kind, 'done')
          assert.equal((await states(at))['plain'], 'live')
          await settle(at)
          assert.deepEqual(await states(at), { a: 'live', plain: 'live' })
          await assertEqual(at, TABLES)
          await at.source.purge({ olderThanDays: 7, dryRun: false, signal: new AbortController().signal })
          const noted = "SELECT purged_drain <= last_drain, token <> 'log-harmed' FROM sync_instance"
          assert.deepEqual(await textRows(at.app, noted), [['1', '1']])
        })
      const next = await drainNow(at)
      assert.deepEqual(next.kind === 'done' && next.setAside, [])
    } finally {
      await writer.end()
    }
  })
})
