import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedServers } from '@mylab-sync/testkit'
import { assertGolden } from '../support/golden.js'
import { cli, type Outcome } from '../support/run.js'

/** The one account that is not the administrator, on either side. */
const ACCOUNT = 'doc_sync'
const PASSWORD = 'pw'
const DATABASE = 'doc'
const ALL_RIGHTS = `GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, TRIGGER ON ${DATABASE}.* TO ${ACCOUNT}; GRANT PROCESS ON *.* TO ${ACCOUNT}`
const SOURCE_ACCOUNT = { DB_USERNAME: ACCOUNT, DB_PASSWORD: PASSWORD }
const TARGET_ACCOUNT = { PGSQL_USERNAME: ACCOUNT, PGSQL_PASSWORD: PASSWORD }
const GOOD_TABLE = 'CREATE TABLE visit (id INT PRIMARY KEY, at DATETIME NOT NULL) ENGINE=InnoDB'
const CLOSED_TARGET = `ALTER ROLE ${ACCOUNT} SET default_transaction_read_only = on; REVOKE CREATE, USAGE ON SCHEMA public FROM PUBLIC;
  REVOKE TEMPORARY ON DATABASE ${DATABASE} FROM PUBLIC`
const STRICT = "SET sql_mode = 'STRICT_ALL_TABLES'"

interface SetUp {
  readonly name: string
  readonly source?: string
  readonly target?: string
  readonly env?: Readonly<Record<string, string>>
  /** Restores what concerns the whole server. */
  readonly undo?: string
  /** Options of the target's CREATE DATABASE. */
  readonly targetOptions?: string
  readonly code: number
}

const SET_UPS: readonly SetUp[] = [
  { name: 'ready', source: `${GOOD_TABLE}; ${ALL_RIGHTS}`, env: SOURCE_ACCOUNT, code: 0 },
  {
    name: 'no-trigger-right',
    source: `${GOOD_TABLE}; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON ${DATABASE}.* TO ${ACCOUNT}; GRANT PROCESS ON *.* TO ${ACCOUNT}`,
    env: SOURCE_ACCOUNT,
    code: 5,
  },
  {
    name: 'no-process-right',
    source: `${GOOD_TABLE}; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, TRIGGER ON ${DATABASE}.* TO ${ACCOUNT}`,
    env: SOURCE_ACCOUNT,
    code: 0,
  },
  {
    name: 'read-rights-only',
    source: `${GOOD_TABLE}; CREATE TABLE bill (id INT PRIMARY KEY); GRANT SELECT ON ${DATABASE}.visit TO ${ACCOUNT}; GRANT SELECT (id) ON ${DATABASE}.bill TO ${ACCOUNT}`,
    env: SOURCE_ACCOUNT,
    code: 5,
  },
  {
    name: 'engines-and-keys',
    source: `CREATE TABLE log_line (at DATETIME, line TEXT) ENGINE=InnoDB; CREATE TABLE old_stock (id INT PRIMARY KEY) ENGINE=MyISAM;
      CREATE TABLE named (code VARCHAR(9) NOT NULL UNIQUE) ENGINE=InnoDB; CREATE TABLE cache (id INT PRIMARY KEY) ENGINE=MEMORY`,
    code: 0,
  },
  {
    name: 'refused-and-capture-only',
    source: `CREATE TABLE ward (id INT PRIMARY KEY) ENGINE=InnoDB;
      CREATE TABLE bed (id INT PRIMARY KEY, ward INT, FOREIGN KEY (ward) REFERENCES ward (id) ON DELETE CASCADE) ENGINE=InnoDB;
      CREATE TABLE stay (id INT PRIMARY KEY, bed INT, FOREIGN KEY (bed) REFERENCES bed (id) ON DELETE CASCADE) ENGINE=InnoDB;
      CREATE TABLE owner (id INT PRIMARY KEY) ENGINE=InnoDB;
      CREATE TABLE pet (id INT PRIMARY KEY, owner INT, FOREIGN KEY (owner) REFERENCES owner (id) ON DELETE CASCADE) ENGINE=InnoDB`,
    env: { SYNC_TABLES_EXCLUDE: 'bed,owner' },
    code: 5,
  },
  { name: 'xa-prepared', source: GOOD_TABLE, undo: "XA ROLLBACK 'doc', 'two', 7", code: 5 },
  {
    name: 'older-package',
    source: `${GOOD_TABLE}; CREATE TABLE sync_audit_log (id INT PRIMARY KEY AUTO_INCREMENT, payload JSON);
      CREATE TRIGGER visit_after_insert AFTER INSERT ON visit FOR EACH ROW INSERT INTO sync_audit_log (payload) VALUES (JSON_OBJECT('id', NEW.id));
      CREATE TRIGGER visit_after_delete AFTER DELETE ON visit FOR EACH ROW INSERT INTO sync_audit_log (payload) VALUES (JSON_OBJECT('id', OLD.id))`,
    code: 5,
  },
  {
    name: 'definer-gone',
    source: `${GOOD_TABLE}; ${ALL_RIGHTS}; GRANT SELECT ON mysql.* TO ${ACCOUNT}; ${STRICT}; CREATE DEFINER = 'gone'@'10.%' TRIGGER mylab_0123456789ab_ai AFTER INSERT ON visit FOR EACH ROW SET @x = 1`,
    env: SOURCE_ACCOUNT,
    code: 5,
  },
  {
    name: 'definer-unknown',
    source: `${GOOD_TABLE}; ${ALL_RIGHTS}; SET sql_mode = ''; CREATE DEFINER = 'other'@'%' TRIGGER mylab_0123456789ab_ai AFTER INSERT ON visit FOR EACH ROW SET @x = 1`,
    env: SOURCE_ACCOUNT,
    code: 5,
  },
  {
    name: 'server-settings',
    source: `CREATE TABLE visit (code VARCHAR(700) CHARACTER SET utf8mb4 PRIMARY KEY, note TEXT CHARACTER SET cp1251) ENGINE=InnoDB; ${ALL_RIGHTS};
      ALTER DATABASE CHARACTER SET latin1; SET GLOBAL binlog_format = STATEMENT; SET GLOBAL log_bin_trust_function_creators = 0;
      SET GLOBAL sql_mode = ''; SET GLOBAL max_allowed_packet = 1048576; SET GLOBAL read_only = 1`,
    undo: `SET GLOBAL read_only = 0; SET GLOBAL binlog_format = MIXED; SET GLOBAL log_bin_trust_function_creators = 1;
      SET GLOBAL sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE'; SET GLOBAL max_allowed_packet = 67108864`,
    env: SOURCE_ACCOUNT,
    code: 5,
  },
  {
    name: 'read-only-target',
    source: GOOD_TABLE,
    target: CLOSED_TARGET,
    env: TARGET_ACCOUNT,
    code: 5,
  },
  {
    name: 'target-encoding',
    source: GOOD_TABLE,
    targetOptions: "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
    code: 5,
  },
  {
    name: 'target-tables-stand',
    source: `${GOOD_TABLE}; CREATE TABLE patient (id INT PRIMARY KEY, name VARCHAR(40)) ENGINE=InnoDB; CREATE TABLE line (t TEXT) ENGINE=InnoDB; CREATE TABLE empty (id INT PRIMARY KEY) ENGINE=InnoDB`,
    target: `CREATE TABLE visit (id integer PRIMARY KEY, at timestamp(0)); INSERT INTO visit VALUES (1, now());
      CREATE TABLE patient (id integer PRIMARY KEY, name varchar(20), ward integer NOT NULL); CREATE TABLE line (t text); INSERT INTO line VALUES ('x');
      CREATE TABLE empty (id integer PRIMARY KEY)`,
    code: 5,
  },
  {
    name: 'target-name-taken',
    source: GOOD_TABLE,
    target: `CREATE VIEW visit AS SELECT 1 AS id; GRANT CREATE ON DATABASE ${DATABASE} TO ${ACCOUNT}; GRANT CREATE, USAGE ON SCHEMA public TO ${ACCOUNT}`,
    env: TARGET_ACCOUNT,
    code: 5,
  },
  {
    name: 'target-not-owner',
    source: GOOD_TABLE,
    target: `CREATE TABLE visit (id integer PRIMARY KEY, at timestamp(0)); GRANT ALL ON visit TO ${ACCOUNT}; GRANT CREATE ON DATABASE ${DATABASE} TO ${ACCOUNT}; GRANT CREATE, USAGE ON SCHEMA public TO ${ACCOUNT}`,
    env: TARGET_ACCOUNT,
    code: 5,
  },
  {
    name: 'wrong-password',
    target: 'CREATE VIEW v AS SELECT 1',
    env: { ...SOURCE_ACCOUNT, DB_PASSWORD: 'wrong' },
    code: 4,
  },
  { name: 'no-tables', env: {}, code: 5 },
  {
    name: 'newer-state-and-no-redis',
    source: GOOD_TABLE,
    target:
      'CREATE SCHEMA mylab_sync; CREATE TABLE mylab_sync.sync_schema_version (version integer); INSERT INTO mylab_sync.sync_schema_version VALUES (9999)',
    env: { REDIS_URL: 'redis://127.0.0.1:1' },
    code: 4,
  },
]

const servers = await sharedServers({
  services: ['mariadb', 'postgres'],
  extraArguments: {
    mariadb: [
      '--log-bin=bin',
      '--server-id=1',
      '--log-bin-trust-function-creators=1',
      '--sql-mode=STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE',
    ],
  },
})

function doctor(env: Readonly<Record<string, string>>, args: readonly string[] = []): Promise<Outcome> {
  const address = servers.environment({ source: DATABASE, target: DATABASE, redis: false })
  return cli(['doctor', ...args], { ...address, SYNC_USE_QUEUE: 'false', ...env })
}

async function prepared(setUp: SetUp, use: () => Promise<void>): Promise<void> {
  await servers.createDatabases({ source: DATABASE, target: DATABASE })
  const admin = await servers.targetAdmin()
  const app = await servers.sourceAdmin(DATABASE)
  try {
    if (setUp.targetOptions) {
      await admin.query(`DROP DATABASE ${DATABASE}`)
      const owner = servers.product.target.user
      await admin.query(`CREATE DATABASE ${DATABASE} OWNER ${owner} ${setUp.targetOptions} TEMPLATE template0`)
    }
    await app.query(`CREATE USER ${ACCOUNT} IDENTIFIED BY '${PASSWORD}'; ${setUp.source ?? 'DO 0'}`)
    await admin.query(`CREATE ROLE ${ACCOUNT} LOGIN PASSWORD '${PASSWORD}'`)
    const inside = await (setUp.env === TARGET_ACCOUNT || setUp.name === 'remedies'
      ? servers.targetAdmin(DATABASE)
      : servers.targetOwner(DATABASE))
    await inside.query(setUp.target ?? 'SELECT 1').finally(() => inside.end())
    await use()
  } finally {
    await app.query(`${setUp.undo ?? 'DO 0'}; DROP USER ${ACCOUNT}`).finally(() => app.end())
    await admin.query(`DROP DATABASE ${DATABASE} WITH (FORCE)`)
    await admin.query(`DROP ROLE ${ACCOUNT}`).finally(() => admin.end())
  }
}

for (const setUp of SET_UPS) {
  test(`doctor reports each cause with its remedy: ${setUp.name}`, async () => {
    await prepared(setUp, async () => {
      if (setUp.name === 'xa-prepared') await leavePrepared()
      const { code, out, err } = await doctor(setUp.env ?? {})
      assert.equal(err, '')
      assertGolden(`doctor/${setUp.name}`, `exit ${code}\n${out.replaceAll(`:${servers.source.port}`, ':PORT')}`)
      assert.equal(code, setUp.code)
    })
  })
}

/** Its owner no longer exists; the trigger does. */
async function leavePrepared(): Promise<void> {
  const owner = await servers.sourceAdmin(DATABASE)
  await owner.query(
    "XA START 'doc', 'two', 7; INSERT INTO visit VALUES (1, NOW()); XA END 'doc', 'two', 7; XA PREPARE 'doc', 'two', 7",
  )
  await owner.end()
}

test('the remedies for missing rights are statements that work as printed', async () => {
  const source = `${GOOD_TABLE}; SET GLOBAL log_bin_trust_function_creators = 0`
  const undo = 'SET GLOBAL log_bin_trust_function_creators = 1'
  await prepared({ name: 'remedies', source, undo, target: CLOSED_TARGET, code: 5 }, async () => {
    await using app = await servers.sourceAdmin(DATABASE)
    const reader = await servers.targetAdmin(DATABASE)
    try {
      // An account that may log in and has no rights.
      await app.query(`GRANT SELECT ON ${DATABASE}.visit TO ${ACCOUNT}`)
      const first = await findings()
      for (const { side, remedy } of first.filter((found) => found.severity !== 'note')) {
        const [statement = ''] = remedy.split(' and the same setting')
        if (side === 'source') await app.query(statement)
        else await reader.query(statement)
      }
      assert.deepEqual(await findings(), [])
    } finally {
      await reader.query(`DROP OWNED BY ${ACCOUNT}`).finally(() => reader.end())
    }
  })
})

interface Found {
  readonly code: string
  readonly severity: string
  readonly side: string
  readonly remedy: string
}

async function findings(): Promise<Found[]> {
  const { out } = await doctor({ ...SOURCE_ACCOUNT, ...TARGET_ACCOUNT }, ['--json'])
  const report = JSON.parse(out) as { version: number; findings: Found[] }
  assert.equal(report.version, 1)
  return report.findings
}

test('doctor reports a missing guard of the log and a target that skips foreign keys', async () => {
  await servers.createDatabases({ source: 'guards', target: 'guards' })
  await using app = await servers.sourceAdmin('guards')
  const admin = await servers.targetAdmin('guards')
  const role = servers.product.target.user
  try {
    const env = {
      ...servers.environment({ source: 'guards', target: 'guards', redis: false }),
      SYNC_USE_QUEUE: 'false',
    }
    const codes = async (): Promise<string[]> =>
      JSON.parse((await cli(['doctor', '--json'], env)).out).findings.map(({ code }: Found) => code)
    await app.query(GOOD_TABLE)
    assert.equal((await cli(['migrate'], env)).code, 0)
    assert.ok(!(await codes()).includes('source-log-guards'))
    await app.query('DROP TRIGGER mylab_log_ad')
    await admin.query(`ALTER ROLE ${role} SET session_replication_role = replica`)
    const found = await codes()
    assert.ok(found.includes('source-log-guards') && found.includes('target-replication-role'), found.join())
    assert.equal((await cli(['setup-triggers'], env)).code, 0)
    assert.ok(!(await codes()).includes('source-log-guards'))
  } finally {
    await admin.query(`ALTER ROLE ${role} RESET session_replication_role`).finally(() => admin.end())
  }
})

test("doctor's key is invisible: INSERT without a column list works, the table is live", async () => {
  await servers.createDatabases({ source: 'advice', target: 'advice' })
  await using app = await servers.sourceAdmin('advice')
  await app.query('CREATE TABLE log_line (at DATETIME, line TEXT) ENGINE=InnoDB')
  const env = {
    ...servers.environment({ source: 'advice', target: 'advice', redis: false }),
    SYNC_USE_QUEUE: 'false',
  }
  const { findings } = JSON.parse((await cli(['doctor', '--json'], env)).out)
  const { remedy } = findings.find(({ code }: { code: string }) => code === 'source-keyless-table')
  await app.query(/^[^;]+;/.exec(remedy)?.[0] ?? '')
  await app.query("INSERT INTO log_line VALUES ('2020-01-01', 'a')")
  const [rows] = await app.query('SELECT * FROM log_line')
  assert.deepEqual(Object.keys((rows as object[])[0] ?? {}), ['at', 'line'])
  const { tables } = JSON.parse((await cli(['plan', '--json'], env)).out)
  assert.deepEqual([tables[0].carried, tables[0].key], ['live', ['sync_id']])
})
