import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plan } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { connect } from '../support/connect.js'
import { assertGolden } from '../support/golden.js'
import { copyAll, createInstallation, type Installation } from '../support/installation.js'
import { cli, type Outcome } from '../support/run.js'

/** One object of each kind: carried, altered, left behind. */
const SCHEMA = `
  CREATE TABLE ward (id SMALLINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40) NOT NULL COMMENT 'as on the door; it''s short',
    code CHAR(4) NOT NULL, UNIQUE (code), UNIQUE KEY by_name (name)) ENGINE=InnoDB COMMENT='wards';
  CREATE TABLE patient (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, ward SMALLINT UNSIGNED, ward_code CHAR(4), born DATE NOT NULL, seen DATETIME(3) NULL,
    state ENUM('in','out') NOT NULL DEFAULT 'in', marks SET('a','b'), notes JSON, photo MEDIUMBLOB, paid DECIMAL(8,2) NOT NULL DEFAULT 0, story TEXT,
    changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, CHECK (paid >= 0), CHECK (CRC32(story) > 7),
    KEY (born DESC), KEY head (story(20)), FULLTEXT (story), CONSTRAINT in_ward FOREIGN KEY (ward) REFERENCES ward (id) ON DELETE SET NULL,
    CONSTRAINT by_code FOREIGN KEY (ward_code) REFERENCES ward (code)) ENGINE=InnoDB;
  CREATE TABLE \`select\` (a INT, b VARCHAR(10) CHARACTER SET latin1, \`quo"te\` INT, PRIMARY KEY (a, b)) ENGINE=InnoDB;
  CREATE TABLE log_line (at DATETIME, patient BIGINT UNSIGNED, line LONGTEXT, FOREIGN KEY (patient) REFERENCES patient (id)) ENGINE=InnoDB;
  CREATE TABLE stock (id INT PRIMARY KEY) ENGINE=MyISAM;
  CREATE TABLE room (id INT PRIMARY KEY) ENGINE=InnoDB;
  CREATE TABLE bed (id INT PRIMARY KEY, room INT, CONSTRAINT in_room FOREIGN KEY (room) REFERENCES room (id) ON DELETE CASCADE) ENGINE=InnoDB;
  CREATE TABLE stay (id INT PRIMARY KEY, bed INT, CONSTRAINT in_bed FOREIGN KEY (bed) REFERENCES bed (id) ON DELETE CASCADE) ENGINE=InnoDB;
  CREATE TABLE bill (id INT PRIMARY KEY, net DECIMAL(8,2), gross DECIMAL(9,2) AS (net * 1.19) STORED, label VARCHAR(9) COLLATE utf8mb4_bin)
    ENGINE=InnoDB WITH SYSTEM VERSIONING;
  CREATE TABLE parts (id INT PRIMARY KEY) ENGINE=InnoDB PARTITION BY HASH (id) PARTITIONS 2;
  CREATE VIEW at_home AS SELECT id FROM patient WHERE state = 'out';
  CREATE TRIGGER own BEFORE INSERT ON stock FOR EACH ROW SET @own = 1`

const servers = await sharedServers()

function run(name: string, args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const address = servers.environment({ source: name, target: name, redis: false })
  return cli(['plan', ...args], { ...address, SYNC_USE_QUEUE: 'false', ...env })
}

/** Names of all objects on either side. */
async function held({ app, rows }: Installation): Promise<unknown> {
  const [tables] = await app.query(
    'SELECT TABLE_NAME, CREATE_TIME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1',
  )
  const [triggers] = await app.query(
    'SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() ORDER BY 1',
  )
  const target = await rows(
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_|information_schema' ORDER BY 1, 2",
  )
  return { tables, triggers, target }
}

test('plan shows the fate of each table before anything is set up, and changes nothing', async () => {
  await using installation = await createInstallation(servers, 'plan_text', { schema: SCHEMA })
  const before = await held(installation)
  const exclude = { SYNC_TABLES_EXCLUDE: 'bed' }
  const all = await run('plan_text', [], exclude)
  assert.equal(all.err, '')
  assertGolden('plan/whole', `exit ${all.code}\n${all.out}`)
  const full = await run('plan_text', ['--full'], exclude)
  assertGolden('plan/full', `exit ${full.code}\n${full.out}`)
  const one = await run('plan_text', ['--table', 'be?'])
  assertGolden('plan/one-table', `exit ${one.code}\n${one.out}`)
  const json = JSON.parse((await run('plan_text', ['--json', '--sql', '--table', 'stock'])).out)
  assert.equal(json.version, 1)
  assert.deepEqual(
    json.tables.map((t: { table: string; carried: string }) => [t.table, t.carried]),
    [['stock', 'recopied']],
  )
  assert.deepEqual(json.sql.target, [
    'CREATE TABLE "public"."stock" ("id" integer NOT NULL)',
    'ALTER TABLE "public"."stock" ADD CONSTRAINT "stock_pkey" PRIMARY KEY ("id")',
  ])
  assert.deepEqual(await held(installation), before)
})

const COLUMNS = `SELECT c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid), o.collname,
    col_description(c.oid, a.attnum), obj_description(c.oid)
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
  LEFT JOIN pg_collation o ON o.oid = a.attcollation WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 1, 3`
const CONSTRAINTS = `SELECT conrelid::regclass::text, conname, contype, condeferrable, condeferred, convalidated, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2`
const INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"

test('the printed script builds in an empty database what a first copy builds', async () => {
  await using installation = await createInstallation(servers, 'plan_sql')
  await using fresh = await createInstallation(servers, 'plan_fresh')
  await installation.app.query(SCHEMA)
  const { code, out } = await run('plan_sql', ['--sql'])
  assert.equal(code, 0)
  await fresh.reader.query(out)
  await copyAll(installation.context)
  for (const query of [COLUMNS, CONSTRAINTS, INDEXES]) {
    const made = await fresh.rows(query)
    assert.ok(made.length > 8)
    assert.deepEqual(made, await installation.rows(query))
  }
  const target = await run('plan_sql', ['--sql=target'])
  assert.ok(out.startsWith(target.out) && !target.out.includes('TRIGGER'))
})

test('the statements printed for the source, run by hand, satisfy the installation', async () => {
  await using installation = await createInstallation(servers, 'plan_hand', { schema: SCHEMA })
  const { sql } = await plan(installation.context, [])
  for (const statement of sql.source) await installation.app.query(statement)
  await using later = await connect(servers, 'plan_hand')
  assert.ok(await later.source.admin.migrated())
  const before = await held(installation)
  await later.target.admin.migrate()
  await copyAll(installation.context)
  const names = ({ triggers, tables }: { triggers?: unknown; tables?: unknown }): unknown => ({ triggers, tables })
  assert.deepEqual(names((await held(installation)) as object), names(before as object))
  const script = (await run('plan_hand', ['--sql=source'])).out
  assert.match(script, /^DELIMITER ;;\nSET NAMES utf8mb4/)
  assert.match(script, /END IF;;\nDELIMITER ;\n$/)
})

test('what the account may not see is no 0: plan prints the grant for it, which works', async () => {
  await using installation = await createInstallation(servers, 'plan_unseen')
  try {
    await installation.app.query(`CREATE TABLE t (id INT PRIMARY KEY) ENGINE=InnoDB; CREATE PROCEDURE p() SELECT 1;
      CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1; CREATE USER plan_sync@'%' IDENTIFIED BY 'pw';
      GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, TRIGGER ON plan_unseen.* TO plan_sync@'%'; GRANT PROCESS ON *.* TO plan_sync@'%'`)
    const account = { DB_USERNAME: 'plan_sync', DB_PASSWORD: 'pw' }
    const { notCarried, notVisible } = JSON.parse((await run('plan_unseen', ['--json'], account)).out)
    assert.deepEqual(notCarried, { views: 0, routines: null, events: null, triggers: 0, sequences: 0 })
    const before = (await run('plan_unseen', [], account)).out
    for (const { objects, grant } of notVisible) {
      assert.match(
        before,
        new RegExp(`^ {2}${objects} +whether there are any is not visible to this account; to see: `, 'm'),
      )
      assert.ok(before.includes(grant), before)
      await installation.app.query(grant)
    }
    const after = (await run('plan_unseen', [], account)).out
    assert.match(after, /^ {2}1 routine, 1 event +of the application; they stay in the source$/m)
    assert.doesNotMatch(after, /not visible/)
  } finally {
    await installation.app.query("DROP USER IF EXISTS plan_sync@'%'")
  }
})
