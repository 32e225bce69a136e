import assert from 'node:assert/strict'
import { test } from 'node:test'
import { doctor, initial, plan, resyncTables, status } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { copyAll, createInstallation, type Installation, settle, states } from '../support/installation.js'
import { textRows } from '../support/content.js'

const ENDLESS = { progress: (): void => {}, signal: new AbortController().signal }
const CONTENT = `id INT PRIMARY KEY, v INT, s VARCHAR(20) NOT NULL`
const ROWS = `(1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'), (4, 4, 'd')`
const CHANGES = (table: string): string =>
  `UPDATE ${table} SET v = v + 10 WHERE id IN (1, 2); DELETE FROM ${table} WHERE id = 3; INSERT INTO ${table} VALUES (9, 9, 'i')`
const fn = (table: string, body: string): string =>
  `CREATE FUNCTION f_${table}() RETURNS trigger LANGUAGE plpgsql AS $$ ${body} $$`
const trigger = (table: string, when: string, body: string): string =>
  `${fn(table, body)}; CREATE TRIGGER "stands in" ${when} ON ${table} FOR EACH ROW EXECUTE FUNCTION f_${table}()`

/** A trigger or rule on a table of the target, by the table's name, and what its problem must name. */
const HARMFUL: Readonly<Record<string, readonly [target: string, named: RegExp]>> = {
  drops: [trigger('drops', 'BEFORE INSERT OR UPDATE', 'BEGIN RETURN NULL; END'), /"stands in"/],
  alters: [trigger('alters', 'BEFORE INSERT OR UPDATE', 'BEGIN NEW.v := NEW.v + 1; RETURN NEW; END'), /"stands in"/],
  alters_some: [
    trigger('alters_some', 'BEFORE UPDATE', `BEGIN IF NEW.id = 2 THEN NEW.s := upper(NEW.s); END IF; RETURN NEW; END`),
    /"stands in"/,
  ],
  keeps_deleted: [trigger('keeps_deleted', 'BEFORE DELETE', 'BEGIN RETURN NULL; END'), /"stands in"/],
  after_own: [
    trigger('after_own', 'AFTER INSERT', 'BEGIN DELETE FROM public.after_own WHERE id = 4; RETURN NULL; END'),
    /"stands in".*after_own/,
  ],
  after_other: [
    trigger('after_other', 'AFTER INSERT', 'BEGIN UPDATE public.untouched SET v = 0; RETURN NULL; END'),
    /"stands in".*untouched/,
  ],
  deferred_own: [
    `${fn('deferred_own', 'BEGIN UPDATE public.deferred_own SET v = 0 WHERE id = 4; RETURN NULL; END')};
     CREATE CONSTRAINT TRIGGER "stands in" AFTER INSERT ON deferred_own DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.id <> 4) EXECUTE FUNCTION f_deferred_own()`,
    /"stands in"/,
  ],
  raises: [trigger('raises', 'AFTER UPDATE', `BEGIN RAISE EXCEPTION 'no % here', NEW.s; END`), /P0001.*"stands in"/],
  raises_lost: [
    trigger('raises_lost', 'AFTER UPDATE', `BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '57P01'; END`),
    /57P01.*"stands in"/,
  ],
  raises_unfit: [
    trigger('raises_unfit', 'AFTER UPDATE', `BEGIN INSERT INTO no_such_table VALUES (1); RETURN NULL; END`),
    /42P01.*"stands in"/,
  ],
  raises_other: [
    `CREATE TABLE notes (id int PRIMARY KEY); INSERT INTO notes VALUES (1); ${trigger('raises_other', 'AFTER UPDATE', `BEGIN INSERT INTO notes VALUES (1); RETURN NULL; END`)}`,
    /23505.*notes_pkey.*notes.*"stands in"/,
  ],
  raises_late: [
    `${fn('raises_late', `BEGIN RAISE EXCEPTION 'no % here', NEW.s; END`)};
     CREATE CONSTRAINT TRIGGER "stands in" AFTER UPDATE ON raises_late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f_raises_late()`,
    /P0001.*"stands in"/,
  ],
  rule_insert: ['CREATE RULE "stands in" AS ON INSERT TO rule_insert DO INSTEAD NOTHING', /rule "stands in"/],
  rule_update: [
    'CREATE RULE "stands in" AS ON UPDATE TO rule_update WHERE NEW.v > 10 DO INSTEAD UPDATE rule_update SET s = NEW.s WHERE id = NEW.id AND v < 0',
    /rule "stands in"/,
  ],
  rule_delete: ['CREATE RULE "stands in" AS ON DELETE TO rule_delete DO INSTEAD NOTHING', /rule "stands in"/],
  hidden: [
    'CREATE POLICY "only small" ON hidden USING (v < 3) WITH CHECK (true); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
    /only small/,
  ],
  hidden_all: ['ALTER TABLE hidden_all ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', /row-level security/],
  inherited: ["CREATE TABLE heir () INHERITS (inherited); INSERT INTO heir VALUES (1, 1, 'h')", /heir/],
  unlogged: ['ALTER TABLE unlogged SET UNLOGGED', /UNLOGGED/],
  replaced: [
    'ALTER TABLE replaced RENAME TO was_replaced; CREATE VIEW replaced AS SELECT * FROM was_replaced',
    /a view/,
  ],
  keyless_drops: [trigger('keyless_drops', 'BEFORE INSERT', 'BEGIN RETURN NULL; END'), /"stands in"/],
  keyless_alters: [trigger('keyless_alters', 'BEFORE INSERT', 'BEGIN NEW.v := 0; RETURN NEW; END'), /"stands in"/],
}
const HARMLESS: Readonly<Record<string, string>> = {
  audited: `CREATE TABLE audit (at timestamptz, id int); ${trigger('audited', 'AFTER INSERT OR UPDATE OR DELETE', `BEGIN INSERT INTO audit VALUES (now(), coalesce(NEW.id, OLD.id)); RETURN NULL; END`)}`,
  watched: trigger('watched', 'BEFORE INSERT OR UPDATE', 'BEGIN NEW.s := trim(NEW.s); RETURN NEW; END'),
  off: `${trigger('off', 'BEFORE INSERT OR UPDATE', 'BEGIN RETURN NULL; END')}; ALTER TABLE off DISABLE TRIGGER USER`,
  open_policy: 'CREATE POLICY p ON open_policy USING (false); ALTER TABLE open_policy ENABLE ROW LEVEL SECURITY',
  keyless_audited: `CREATE TABLE audit2 (id int); ${trigger('keyless_audited', 'AFTER INSERT OR DELETE', `BEGIN INSERT INTO audit2 VALUES (1); RETURN NULL; END`)}`,
  untouched: 'SELECT 1',
}
const ALL = [...Object.keys(HARMFUL), ...Object.keys(HARMLESS)]

const servers = await sharedServers()

const created = (table: string): string =>
  `CREATE TABLE ${table} (${table.startsWith('keyless') ? CONTENT.replace(' PRIMARY KEY', '') : CONTENT}) ENGINE=InnoDB; INSERT INTO ${table} VALUES ${ROWS}`

async function assertSame(installation: Installation, tables: readonly string[]): Promise<void> {
  for (const table of tables) {
    const query = `SELECT id, v, s FROM ${table} ORDER BY 1, 2`
    assert.deepEqual(await installation.rows(query), await textRows(installation.app, query), table)
  }
}

async function problems(installation: Installation): Promise<Map<string, string>> {
  return new Map((await status(installation.context)).tables.map(({ table, problem }) => [table, problem ?? '']))
}

/** The statements of a problem, which must work as printed. */
function statementsOf(problem: string): string[] {
  return problem
    .split('; ')
    .filter((part) => /^(ALTER|DROP) /.test(part))
    .map((part) => part.replace(/; then .*$/, ''))
}

/** Asserts that each harmful table is broken by name, and that no message quotes a row. */
async function assertBroken(installation: Installation): Promise<ReadonlyMap<string, string>> {
  const found = await states(installation)
  const told = await problems(installation)
  for (const [table, [, named]] of Object.entries(HARMFUL)) {
    assert.equal(found[table], 'broken', `${table}: ${told.get(table)}`)
    assert.match(told.get(table) ?? '', named)
    assert.doesNotMatch(told.get(table) ?? '', /no . here/)
  }
  return told
}

async function assertOpen(installation: Installation, tables: readonly string[]): Promise<void> {
  const found = await states(installation)
  const told = await problems(installation)
  for (const table of tables)
    assert.equal(found[table], table.startsWith('keyless') ? 'recopied' : 'live', `${table}: ${told.get(table)}`)
  await assertSame(installation, tables)
}

test('a target that alters rows is found per table, and the named statements repair it', async () => {
  await using installation = await createInstallation(servers, 'kept_live')
  for (const table of ALL) await installation.app.query(created(table))
  await copyAll(installation.context)
  for (const [sql] of Object.values(HARMFUL)) await installation.reader.query(sql)
  for (const sql of Object.values(HARMLESS)) await installation.reader.query(sql)
  for (const table of ALL) await installation.app.query(CHANGES(table))
  await settle(installation)
  const told = await assertBroken(installation)
  await assertOpen(installation, Object.keys(HARMLESS))
  assert.notDeepEqual(await installation.rows('SELECT DISTINCT id FROM audit'), [])
  for (const table of Object.keys(HARMFUL)) {
    const statements = statementsOf(told.get(table) ?? '')
    assert.ok(statements.length > 0, `${table}: ${told.get(table)}`)
    for (const sql of statements) await installation.reader.query(sql)
  }
  await installation.reader.query('DROP VIEW IF EXISTS replaced_old; DROP TABLE was_replaced, heir')
  await resyncTables(installation.context, Object.keys(HARMFUL), ENDLESS)
  for (const table of ALL) await installation.app.query(`UPDATE ${table} SET v = v + 1`)
  await settle(installation)
  await assertOpen(installation, ALL)
})

const STANDING = ['alters', 'drops', 'rule_insert', 'hidden_all', 'inherited', 'watched', 'audited', 'keyless_alters', 'keyless_audited', 'plain'] // biome-ignore format: names

async function makeStanding(installation: Installation): Promise<void> {
  for (const table of STANDING) await installation.app.query(created(table))
  for (const table of STANDING) {
    const key = table.startsWith('keyless') ? '' : ' PRIMARY KEY'
    await installation.reader.query(`CREATE TABLE ${table} (id int${key}, v int, s varchar(20))`)
    const standing = HARMFUL[table]?.[0] ?? HARMLESS[table]
    if (standing !== undefined) await installation.reader.query(standing)
  }
  await installation.reader.query('DELETE FROM heir')
}

test('obstacles on an existing table are named before the first copy and stop no other', async () => {
  await using installation = await createInstallation(servers, 'kept_first')
  await makeStanding(installation)
  const diagnosis = await doctor({
    source: installation.source,
    target: installation.target,
    options: installation.context.options,
  })
  const codes = (code: string): string[] =>
    diagnosis.findings
      .filter((finding) => finding.code === code)
      .flatMap(({ cause }) => /table (\w+)/.exec(cause)?.[1] ?? [])
  assert.deepEqual(codes('target-rows-not-kept').sort(), ['hidden_all', 'inherited', 'rule_insert'])
  assert.deepEqual(codes('target-triggers').sort(), ['alters', 'audited', 'drops', 'keyless_alters', 'keyless_audited', 'watched']) // biome-ignore format: names
  const planned = await plan(installation.context, [])
  assert.deepEqual(
    planned.hindrances.map(({ table }) => table).sort(),
    STANDING.filter((table) => table !== 'plain').sort(),
  )
  const first = await copyAll(installation.context)
  assert.deepEqual(first.tables.filter(({ state }) => state === 'live').map(({ table }) => table), ['plain']) // biome-ignore format: one line
  const listed = new Map(first.listed.map(({ table, problem }) => [table, problem]))
  assert.match(listed.get('alters') ?? '', /enabled triggers: stands in; .*--take-over/)
  assert.match(listed.get('rule_insert') ?? '', /rule "stands in".*DROP RULE/)
  const request = { tables: [], createTables: true, resume: false, triggers: true, force: false, takeOver: true }
  await initial(installation.context, request, () => {}, ENDLESS.signal)
  for (const table of STANDING) await installation.app.query(CHANGES(table))
  await settle(installation)
  const found = await states(installation)
  assert.deepEqual(
    STANDING.filter((table) => found[table] === 'live' || found[table] === 'recopied'),
    ['watched', 'audited', 'keyless_audited', 'plain'],
  )
  assert.deepEqual(['alters', 'drops', 'keyless_alters'].map((table) => found[table]), ['broken', 'broken', 'broken']) // biome-ignore format: one line
  await assertSame(installation, ['watched', 'audited', 'keyless_audited', 'plain'])
})

test('an acting foreign key of the target is suspended in time; partitions keep rows', async () => {
  await using installation = await createInstallation(servers, 'kept_acting')
  await installation.app.query(`${created('par')}; CREATE TABLE chi (id INT PRIMARY KEY, p INT) ENGINE=InnoDB; INSERT INTO chi VALUES (1, 1), (3, 3);
      ${created('parts')}; ${created('keyless_parts')}`)
  await installation.reader.query(`
      CREATE TABLE parts (id int PRIMARY KEY, v int, s varchar(20)) PARTITION BY HASH (id);
      CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
      CREATE TABLE keyless_parts (id int, v int, s varchar(20)) PARTITION BY LIST (id);
      CREATE TABLE keyless_parts_a PARTITION OF keyless_parts FOR VALUES IN (1, 2); CREATE TABLE keyless_parts_b PARTITION OF keyless_parts DEFAULT`)
  await copyAll(installation.context)
  await installation.reader.query(
    'ALTER TABLE chi ADD CONSTRAINT own FOREIGN KEY (p) REFERENCES par (id) ON DELETE CASCADE',
  )
  for (const table of ['par', 'parts', 'keyless_parts']) await installation.app.query(CHANGES(table))
  await installation.app.query('UPDATE chi SET p = 3 WHERE id = 1')
  await settle(installation)
  assert.deepEqual(await states(installation), { chi: 'live', keyless_parts: 'recopied', par: 'live', parts: 'live' })
  await assertSame(installation, ['par', 'parts', 'keyless_parts'])
  assert.deepEqual(await installation.rows('SELECT id, p FROM chi ORDER BY 1'), [['1', '3'], ['3', '3']]) // biome-ignore format: rows
  const suspended = (await installation.target.constraints.all()).map(({ name, state }) => `${name} ${state}`)
  assert.deepEqual(suspended, ['own suspended'])
  // Rows that no longer fit into any partition: the target's table cannot hold them, and the others continue.
  await installation.reader.query(
    'ALTER TABLE keyless_parts DETACH PARTITION keyless_parts_b; ALTER TABLE parts DETACH PARTITION parts_1',
  )
  await installation.app.query(
    'UPDATE parts SET v = v + 1; UPDATE keyless_parts SET v = v + 1; UPDATE par SET v = v + 1',
  )
  await settle(installation)
  assert.deepEqual(await states(installation), { chi: 'live', keyless_parts: 'broken', par: 'live', parts: 'broken' })
  await assertSame(installation, ['par'])
})

test('a forced copy rewrites whatever was spoilt, even values equal but not identical', async () => {
  await using installation = await createInstallation(servers, 'kept_spoilt')
  await installation.app.query(`CREATE TABLE spoilt (id INT PRIMARY KEY, s SET('x','NULL'), j JSON, d DOUBLE, f FLOAT, ti TIME, t VARCHAR(20)) ENGINE=InnoDB;
      INSERT INTO spoilt VALUES (1, 'x', '{"a": 1.0}', 0, 0, '24:00:00', 'a'), (2, NULL, '[1]', 1.5, 1.5, '-01:00:00', 'b'), (3, 'NULL', NULL, NULL, NULL, NULL, NULL)`)
  await copyAll(installation.context)
  const query = 'SELECT id, s::text, j::text, d::text, f::text, ti::text, t FROM spoilt ORDER BY 1'
  const right = await installation.rows(query)
  await installation.reader.query(`DELETE FROM spoilt WHERE id = 2; INSERT INTO spoilt VALUES (7, NULL, NULL, NULL, NULL, NULL, NULL);
      UPDATE spoilt SET s = ARRAY['x', NULL], j = '{"a": 1.00}', d = '-0', f = '-0', ti = '1 day', t = 'A' WHERE id = 1; UPDATE spoilt SET s = ARRAY[NULL]::text[] WHERE id = 3`)
  assert.notDeepEqual(await installation.rows(query), right)
  const request = { tables: [], createTables: true, resume: false, triggers: true, force: true, takeOver: false }
  await initial(installation.context, request, () => {}, ENDLESS.signal)
  assert.deepEqual(await installation.rows(query), right)
})
