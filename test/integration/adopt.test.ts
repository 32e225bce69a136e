import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedServers } from '@mylab-sync/testkit'
import { type CliInstallation, createCliInstallation } from '../support/cli-installation.js'

/** A database as the older package set it up: its log, the tables of its first copy, and one trigger per event. */
const OLDER = `
  CREATE TABLE visit (id INT PRIMARY KEY, note VARCHAR(20)) ENGINE=InnoDB;
  INSERT INTO visit VALUES (1, 'a'), (2, 'b'), (3, 'c');
  CREATE TABLE sync_audit_log (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, table_name VARCHAR(64) NOT NULL, record_id VARCHAR(255),
    operation ENUM('INSERT','UPDATE','DELETE') NOT NULL, old_data JSON, new_data JSON, synced TINYINT(1) NOT NULL DEFAULT 0, synced_at TIMESTAMP NULL,
    error_message TEXT, retry_count INT NOT NULL DEFAULT 0, created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP) ENGINE=InnoDB;
  CREATE TABLE sync_error_log (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, table_name VARCHAR(255) NOT NULL, batch_offset INT NOT NULL, batch_size INT NOT NULL,
    error_message TEXT, failed_columns TEXT, sample_data TEXT, resolved TINYINT(1) NOT NULL DEFAULT 0, error_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP) ENGINE=InnoDB;
  CREATE TABLE sync_progress (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, table_name VARCHAR(255) NOT NULL UNIQUE, total_rows BIGINT NOT NULL DEFAULT 0,
    synced_rows BIGINT NOT NULL DEFAULT 0, failed_rows BIGINT NOT NULL DEFAULT 0, last_synced_offset BIGINT NOT NULL DEFAULT 0) ENGINE=InnoDB;
  CREATE TRIGGER visit_after_INSERT_trigger AFTER INSERT ON visit FOR EACH ROW
    INSERT INTO sync_audit_log (table_name, record_id, operation, new_data) VALUES ('visit', CONCAT('id:', NEW.id), 'INSERT', JSON_OBJECT('id', NEW.id));
  CREATE TRIGGER visit_after_DELETE_trigger AFTER DELETE ON visit FOR EACH ROW
    INSERT INTO sync_audit_log (table_name, record_id, operation, old_data) VALUES ('visit', CONCAT('id:', OLD.id), 'DELETE', JSON_OBJECT('id', OLD.id));
  CREATE TABLE mine (id INT PRIMARY KEY) ENGINE=InnoDB;
  CREATE TRIGGER mine_checked BEFORE INSERT ON mine FOR EACH ROW SET NEW.id = ABS(NEW.id);
  INSERT INTO visit VALUES (4, 'd')`

const servers = await sharedServers()

const names = async (app: CliInstallation['app'], query: string): Promise<string[]> =>
  ((await app.query(query))[0] as Record<string, string>[]).map((row) => Object.values(row)[0] ?? '').sort()

test('adopting the older package drops its triggers, renames its log, copies nothing', async () => {
  await using installation = await createCliInstallation(servers, 'adopt_older')
  const { app, mylab } = installation
  await app.query(OLDER)
  await app.query(`CREATE USER limited@'%' IDENTIFIED BY 'x';
    GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, TRIGGER ON adopt_older.* TO limited@'%'`)
  const limited = await mylab.run(['migrate', '--adopt'], { DB_USERNAME: 'limited', DB_PASSWORD: 'x' })
  assert.match(limited.err, /lacks DROP on sync_audit_log; nothing was removed\n {2}try: GRANT DROP/)
  assert.equal((await names(app, 'SHOW TRIGGERS')).length, 3)
  await using reader = await servers.targetOwner('adopt_older')
  // the rows that the older package copied, and one whose deletion it missed
  await reader.query(
    "CREATE TABLE visit (id integer PRIMARY KEY, note varchar(20)); INSERT INTO visit VALUES (1, 'old'), (9, 'x')",
  )
  const refused = await mylab.run(['migrate'])
  assert.deepEqual([refused.code, /try: mylab-sync migrate --adopt/.test(refused.err)], [1, true], refused.err)
  await servers.grantDrop('adopt_older')
  const adopted = await mylab.run(['migrate', '--adopt'])
  assert.equal(adopted.code, 0, adopted.err)
  assert.match(
    adopted.out,
    /^Taken over: 2 triggers dropped, the log is kept as sync_audit_log_old \(1 change in it not applied\)\.\nNext: mylab-sync initial --take-over/,
  )
  assert.deepEqual(await names(app, 'SHOW TRIGGERS'), ['mine_checked', 'mylab_log_ad', 'mylab_log_au'])
  const planned = JSON.parse((await mylab.run(['plan', '--json'])).out) as {
    tables: { table: string }[]
    olderPackage: string[]
  }
  assert.deepEqual(planned.tables.map(({ table }) => table).sort(), ['mine', 'visit'])
  assert.deepEqual(planned.olderPackage.sort(), ['sync_audit_log_old', 'sync_error_log', 'sync_progress'])
  const copied = await mylab.run(['initial', '--create-tables', '--take-over'])
  assert.equal(copied.code, 0, copied.err)
  await app.query("INSERT INTO visit VALUES (5, 'e')")
  assert.equal((await mylab.run(['verify-counts'])).code, 0)
  const { rows } = await reader.query<{ ids: string; first: string }>(
    "SELECT string_agg(id::text, ',' ORDER BY id) AS ids, min(note) FILTER (WHERE id = 1) AS first FROM visit",
  )
  assert.deepEqual(rows, [{ ids: '1,2,3,4,5', first: 'a' }])
  const [kept] = await app.query('SELECT COUNT(*) AS n FROM sync_audit_log_old')
  assert.deepEqual(kept, [{ n: 1 }])
  assert.match((await mylab.run(['migrate', '--adopt'])).out, /^There is no log of the older package/)
  assert.equal((await mylab.run(['uninstall', '--yes'])).code, 0)
  assert.ok((await names(app, 'SHOW TABLES')).includes('sync_audit_log_old'))
})

test('an unknown table of the same name is left untouched', async () => {
  await using installation = await createCliInstallation(servers, 'adopt_foreign')
  const { app, mylab } = installation
  await app.query('CREATE TABLE sync_audit_log (id INT PRIMARY KEY, who VARCHAR(20)) ENGINE=InnoDB')
  const refused = await mylab.run(['migrate', '--adopt'])
  assert.deepEqual(
    [refused.code, refused.err],
    [
      1,
      "mylab-sync: source: table sync_audit_log is not the older package's log\n  try: rename it, or set SYNC_AUDIT_TABLE to another name\n",
    ],
  )
  assert.deepEqual(await names(app, 'SHOW TABLES'), ['sync_audit_log'])
})
