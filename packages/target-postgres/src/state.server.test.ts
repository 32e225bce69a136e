import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Edge, NO_TLS, type TableObjects, type TargetTransaction } from '@mylab-sync/core'
import { shared, sharedServers } from '@mylab-sync/testkit'
import pg from 'pg'
import { createTarget } from './target.js'
import { testKey, testTable } from './test-support.js'

const DATABASE = 'target_state_test'
const servers = await sharedServers({ services: ['postgres'] })
const state = pg.escapeIdentifier('mylab "sync_')
const whole = testTable('whole', { a: 'integer', b: 'text' }, null)

/** Commits what `work` does; rolls back where it throws. */
async function within<T>(work: (transaction: TargetTransaction) => Promise<T>): Promise<T> {
  await using transaction = await target.begin()
  const result = await work(transaction)
  await transaction.commit()
  return result
}

await servers.createTargetDatabase(DATABASE)
const admin = await shared(servers.targetAdmin(DATABASE))
const target = await shared(
  createTarget({
    host: servers.target.host,
    port: servers.target.port,
    ...servers.product.target,
    database: DATABASE,
    schema: 'public',
    stateSchema: 'mylab "sync_',
    tls: NO_TLS,
    instance: 'default',
  }),
  (opened) => opened.close(),
)
await target.admin.migrate()

test('migrating fills the kinds of problems from the sentences of before', async () => {
  await admin.query(`
    ALTER TABLE ${state}.sync_progress DROP COLUMN waits;
    ALTER TABLE ${state}.sync_constraint DROP COLUMN owned;
    DELETE FROM ${state}.sync_schema_version WHERE version >= 15;
    INSERT INTO ${state}.sync_progress (table_name, state, problem) VALUES ('w1', 'suspect', 'waits for: DROP VIEW v'), ('w2', 'suspect', 'its definition has changed'), ('w3', 'live', NULL);
    INSERT INTO ${state}.sync_constraint (table_name, name, kind, state, detail) VALUES
      ('whole', 'mine', 'unique', 'suspended', 'broken by rows of the source; it is not one of the source'), ('whole', 'ours', 'check', 'suspended', 'broken by rows of the source'), ('whole', 'bare', 'check', 'suspended', NULL)`)
  await target.admin.migrate()
  const waits = await within(async ({ tables }) => {
    const known = await tables.all()
    return ['w1', 'w2', 'w3'].filter((table) => known.get(table)?.waits)
  })
  assert.deepEqual(waits, ['w1'])
  const owned = async (): Promise<[string, boolean][]> =>
    (await target.constraints.all()).map(({ name, owned }) => [name, owned])
  assert.deepEqual(await owned(), [
    ['bare', true],
    ['mine', false],
    ['ours', true],
  ])
  await target.constraints.forget(whole, ['bare'])
  assert.deepEqual(await owned(), [
    ['bare', true],
    ['mine', false],
  ])
})

test('a new problem waits for nobody unless it says so; an equal one is not written', async () => {
  const patched = async (change: Parameters<TargetTransaction['tables']['patch']>[1]): Promise<unknown[]> => {
    await within(({ tables }) => tables.patch('p', change))
    const { rows } = await admin.query<{ problem: string | null; waits: boolean; written: string }>(
      `SELECT problem, waits, xmin::text AS written FROM ${state}.sync_progress WHERE table_name = 'p'`,
    )
    const [row] = rows
    return [row?.problem, row?.waits, row?.written]
  }
  const [, ...waiting] = await patched({ problem: 'why', waits: true })
  assert.equal(waiting[0], true)
  assert.deepEqual(await patched({ problem: 'why', waits: true }), ['why', ...waiting])
  assert.deepEqual((await patched({ rowsCopied: 1 })).slice(0, 2), ['why', true])
  assert.deepEqual((await patched({ problem: 'why' })).slice(0, 2), ['why', false])
  await patched({ problem: 'why', waits: true })
  assert.deepEqual((await patched({ problem: null })).slice(0, 2), [null, false])
})

test('a step follows the state on the row; one that is not allowed writes nothing', async () => {
  const known = async (): Promise<unknown[]> => {
    const row = (await within(({ tables }) => tables.all())).get('s')
    return [row?.state, row?.problem, row?.copyNumber]
  }
  const stepped = (...step: Parameters<TargetTransaction['tables']['step']>): Promise<string | null> =>
    within(({ tables }) => tables.step(...step))
  assert.equal(await stepped('s', 'pause', { problem: 'no' }), null)
  assert.deepEqual(await known(), [undefined, undefined, undefined])
  assert.equal(await stepped('s', 'ask-for-copy', { copyNumber: 1 }), 'copying')
  assert.equal(await stepped('s', 'open', { problem: 'no' }), null)
  assert.deepEqual(await known(), ['copying', null, 1])
  assert.equal(await stepped('s', 'all-chunks-done'), 'catching-up')
  assert.equal(await stepped('s', 'open'), 'live')
  assert.equal(await stepped('s', 'mismatch', { problem: 'why' }), 'suspect')
  assert.deepEqual(await known(), ['suspect', 'why', 1])
})

test("a user's foreign key that fell with the UNIQUE it references stays on record", async () => {
  const parent = testTable('p', { id: 'integer!', code: 'integer' }, ['id'])
  const child = testTable('c', { id: 'integer!', code: 'integer' }, ['id'])
  const none: TableObjects = {
    indexes: [],
    checks: [],
    defaults: new Map(),
    identity: null,
    sequence: null,
    notCarried: [],
  }
  for (const table of [parent, child]) await target.tables.create(table, none)
  const unique = { name: 'p_code', unique: true, parts: ['"code"'], columns: ['code'], deferrable: false }
  assert.deepEqual(await target.constraints.buildIndexes(parent, { ...none, indexes: [unique] }), [])
  const edge: Edge = {
    name: 'ours',
    child: 'c',
    parent: 'p',
    childKey: testKey(child.columns.slice(1)),
    parentKey: testKey(parent.columns.slice(1)),
    action: false,
    byKey: false,
    overlapping: false,
    text: false,
    captureOnlyParent: false,
    notCarried: null,
  }
  assert.equal((await target.constraints.buildForeignKey(child, parent, edge)).state, 'validated')
  await admin.query('ALTER TABLE public.c ADD CONSTRAINT mine FOREIGN KEY (code) REFERENCES public.p (code)')
  await target.constraints.suspend({ table: parent.name, constraint: 'p_code', kind: 'unique' }, true)
  const suspended = async (): Promise<[string, boolean][]> =>
    (await target.constraints.all()).filter(({ table }) => table === 'c').map(({ name, owned }) => [name, owned])
  assert.deepEqual(await suspended(), [
    ['mine', false],
    ['ours', true],
  ])
  await target.constraints.forget(child, [])
  assert.deepEqual(await suspended(), [['mine', false]])
})
