import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Edge, NO_TLS, type TargetTransaction } from '@mylab-sync/core'
import { shared, sharedServers } from '@mylab-sync/testkit'
import pg from 'pg'
import { createTarget } from './target.js'
import { NO_OBJECTS, testKey, testTable } from './test-support.js'

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
    DELETE FROM ${state}.sync_schema_version WHERE version = 15;
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
  for (const table of [parent, child]) await target.tables.create([{ table: table, objects: NO_OBJECTS }])
  const unique = { name: 'p_code', unique: true, parts: ['"code"'], columns: ['code'], deferrable: false }
  assert.deepEqual(await target.constraints.buildIndexes(parent, { ...NO_OBJECTS, indexes: [unique] }), [])
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
  assert.equal((await target.constraints.buildForeignKeys([{ child, parent, edge }]))[0]?.state, 'validated')
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

test('findings of a pass stay until the next one ends; a repair in between counts', async () => {
  const key = (text: string) => ({ key: text, texts: [text], kind: 'different', columns: ['a'] }) as const
  const moments = { since: '2026-01-01T00:00:00.000000Z', until: '2026-01-02T00:00:00.000000Z' }
  const step = { table: 'whole', replaced: 0, found: [], differing: 0, passed: null, notCompared: false }
  const known = () =>
    within(async ({ verification }) => {
      const { walk, passed, verified, differing, repaired } = (await verification.all()).get('whole') ?? {}
      const keys = (await verification.differing(9)).map(({ texts }) => texts.join())
      return { walk, passed, differing, repaired, keys, verified }
    })
  await within(({ tables }) => tables.patch('whole', { rowsCopied: 0 }))
  await within(({ verification }) =>
    verification.record([{ ...step, walk: 'w1', isFirst: true, found: [key('1'), key('2')], differing: 2 }]),
  )
  const found = { walk: 'w1', passed: null, differing: 2, repaired: 0, keys: ['1', '2'], verified: null }
  assert.deepEqual(await known(), found)
  await within(({ verification }) =>
    verification.record([{ ...step, walk: null, isFirst: false, differing: 2, passed: moments }]),
  )
  assert.deepEqual(await known(), { ...found, walk: null, passed: moments })
  await within(({ verification }) => verification.addTried('whole', [key('7')], 1))
  assert.deepEqual(await within(({ verification }) => verification.tried()), [{ ...key('7'), table: 'whole' }])
  await within(({ verification }) => verification.settle('whole', { left: [], repaired: 1 }))
  await within(({ verification }) =>
    verification.record([{ ...step, walk: 'w2', isFirst: true, found: [key('2')], differing: 1 }]),
  )
  assert.deepEqual(await known(), { ...found, walk: 'w2', passed: moments, repaired: 1 })
  await within(({ verification }) =>
    verification.record([{ ...step, walk: null, isFirst: false, differing: 1, passed: moments }]),
  )
  assert.deepEqual(await known(), { ...found, walk: null, passed: moments, differing: 1, repaired: 1, keys: ['2'] })
  await within(({ verification }) =>
    verification.replace([{ table: 'whole', found: [], differing: 0, repaired: 1, passed: moments }]),
  )
  assert.deepEqual(await known(), {
    ...found,
    walk: null,
    passed: moments,
    differing: 0,
    repaired: 2,
    keys: [],
    verified: moments,
  })
  await within(({ verification }) =>
    verification.record([{ ...step, walk: 'outdated', isFirst: true, found: [key('4')], differing: 1 }]),
  )
  assert.deepEqual([(await known()).walk, (await known()).differing], [null, 0])
  await within(({ verification }) =>
    verification.record([{ ...step, replaced: 1, walk: 'w3', isFirst: true, found: [key('5')], differing: 1 }]),
  )
  assert.equal((await known()).differing, 1)
  await within(({ tables }) => tables.patch('whole', { openedDrain: 9 }))
  assert.deepEqual([(await known()).differing, (await known()).repaired], [0, 2])
  await within(({ verification }) => verification.record([{ ...step, replaced: 1, walk: 'w4', isFirst: false }]))
  assert.deepEqual((await known()).keys, [])
  await within(({ verification }) => verification.forget())
  assert.deepEqual([(await known()).passed, (await known()).verified], [null, null])
})

test('the next step waits for its pause by the clock of the target', async () => {
  assert.equal((await within(({ verification }) => verification.pace())).waitMs, 0)
  await within(({ verification }) => verification.keepPace({ ms: 500, rows: 10, pauseMs: 49_500 }))
  await within(({ verification }) => verification.keepPace({ ms: 300, rows: 5, pauseMs: 29_700 }))
  const { waitMs, ...pace } = await within(({ verification }) => verification.pace())
  assert.ok(waitMs > 25_000 && waitMs <= 29_700, `${waitMs}`)
  assert.deepEqual(pace, { stepMs: 300, pauseMs: 29_700, workedMs: 800, spanMs: 80_000, rows: 15 })
})
