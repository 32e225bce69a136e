import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  BatchRefused,
  ConstraintViolated,
  type IndexPlan,
  NO_TLS,
  type QuarantinedRow,
  SyncError,
  type TableMapping,
  type TargetRow,
  type TargetTransaction,
} from '@mylab-sync/core'
import { eventually, shared, sharedServers } from '@mylab-sync/testkit'
import pg from 'pg'
import type { TargetSettings } from './connection/database.js'
import { createTarget } from './target.js'
import { textsOf } from './testing.js'
import { NO_OBJECTS, testEdge, testRow, testStream, testTable } from './test-support.js'

const DATABASE = 'target_postgres_test'
const servers = await sharedServers({ services: ['postgres'] })
const access = servers.target
const settings: TargetSettings = {
  host: access.host,
  port: access.port,
  ...servers.product.target,
  database: DATABASE,
  schema: 'public',
  stateSchema: 'mylab "sync_',
  tls: NO_TLS,
  instance: 'default',
}
const parent = testTable('pa"rent', { id: 'integer!', code: 'character varying(5)', doc: 'json' }, ['id'])
const child = testTable('child', { id: 'integer!', parent_id: 'integer' }, ['id'])
const whole = testTable('whole', { a: 'integer', b: 'text' }, null)
const edge = testEdge(child, parent)
const code: IndexPlan = {
  name: 'parent_code',
  unique: true,
  parts: ['left("code", 3)'],
  columns: ['code'],
  deferrable: false,
}

async function* batches(...rows: readonly (readonly TargetRow[])[]): AsyncIterable<readonly TargetRow[]> {
  yield* rows
}

/** Commits what `work` does; rolls back where it throws. */
async function within<T>(work: (transaction: TargetTransaction) => Promise<T>): Promise<T> {
  await using transaction = await target.begin()
  const result = await work(transaction)
  await transaction.commit()
  return result
}

async function contents(table: TableMapping): Promise<string[]> {
  const name = `public.${pg.escapeIdentifier(table.name)}`
  const { rows } = await admin.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t ORDER BY 1`)
  return rows.map(({ row }) => row)
}

async function cleared(): Promise<void> {
  await admin.query('DROP TABLE IF EXISTS public.child, public."pa""rent", public.whole')
  for (const table of [parent, child, whole]) await target.tables.create([{ table: table, objects: NO_OBJECTS }])
  await target.constraints.buildKeyIndexes([{ table: parent, foreignKeyColumns: [], plain: [] }])
  await target.constraints.buildKeyIndexes([{ table: child, foreignKeyColumns: [['parent_id']], plain: [] }])
}

await servers.createTargetDatabase(DATABASE)
const admin = await shared(servers.targetAdmin(DATABASE))
await admin.query(`ALTER DATABASE ${DATABASE} SET default_transaction_isolation = 'serializable'`)
const target = await shared(createTarget(settings), (opened) => opened.close())
assert.equal(await target.admin.migrated(), false)
await Promise.all([target.admin.migrate(), target.admin.migrate()])
assert.equal(await target.admin.migrated(), true)

test('COPY carries every byte and large values', async () => {
  await cleared()
  const odd = ['\\', '\\N', '\t\n\r', 'ü\u{1f600}', '', 'x'.repeat(300_000)]
  const rows = odd.map((value, at) => testRow(String(at), value))
  const count = await within((transaction) =>
    transaction.rows.copy(whole, testStream([rows.slice(0, 3), [], rows.slice(3)]), { overwrite: false }),
  )
  assert.equal(count, 6)
  const { rows: found } = await admin.query<{ b: string }>('SELECT b FROM public.whole ORDER BY a')
  assert.deepEqual(
    found.map(({ b }) => b),
    odd,
  )
})

test('large batches of a transaction share one staging file, even after a poison row', async () => {
  await cleared()
  const rows = (from: number): TargetRow[] =>
    Array.from({ length: 600 }, (_, at) => testRow(String(from + at), at === 5 ? 'too long' : 'ok', null))
  await within(async (transaction) => {
    const storage = new Set<string>()
    for (const from of [0, 600, 1200]) {
      await transaction.rows.upsert(parent, rows(from), [])
      const [[place] = []] = await textsOf(transaction, `SELECT pg_relation_filenode('pg_temp."stage_pa""rent"')::text`)
      storage.add(String(place))
    }
    assert.equal(storage.size, 1)
    assert.equal(await transaction.lookup.count(parent), 1797)
  })
})

test('a poison row makes COPY refuse the batch, and is isolated', async () => {
  await cleared()
  const rows = Array.from({ length: 1200 }, (_, at) =>
    testRow(String(at), at === 700 || at === 3 ? 'too long' : 'ok', null),
  )
  await within(async (transaction) => {
    await assert.rejects(transaction.rows.copy(parent, testStream([rows]), { overwrite: false }), (error: unknown) => {
      return error instanceof BatchRefused && error.code === '22001'
    })
    const refused = await transaction.rows.insert(parent, rows)
    assert.deepEqual(refused.map(({ key, code: state }) => `${key} ${state}`).sort(), ['3 22001', '700 22001'])
    assert.equal(await transaction.lookup.count(parent), 1198)
  })
})

test('an error of the rows themselves is passed on, and the transaction survives', async () => {
  await cleared()
  async function* failing(): AsyncIterable<readonly TargetRow[]> {
    yield [testRow('1', 'a')]
    throw new SyncError('truncated-read', 'the source said so')
  }
  await within(async (transaction) => {
    await assert.rejects(
      transaction.rows.copy(whole, testStream(failing()), { overwrite: false }),
      /the source said so/,
    )
    assert.equal(await transaction.rows.copy(whole, testStream([[testRow('2', 'b')]]), { overwrite: false }), 1)
  })
  assert.deepEqual(await contents(whole), ['(2,b)'])
})

test('colliding rows are never lost in silence', async () => {
  await cleared()
  await assert.rejects(
    within((transaction) => transaction.rows.insert(parent, [testRow('1', 'a', null), testRow('1', 'b', null)])),
    (error: unknown) => error instanceof ConstraintViolated && error.constraint === 'pa"rent_pkey',
  )
})

test('small and large upserts write the last row of a key and skip equal rows', async () => {
  await cleared()
  for (const count of [3, 900]) {
    const rows = Array.from({ length: count }, (_, at) => testRow(String(at), `c${at % 10}`, '{"a": 1}'))
    await within((transaction) => transaction.rows.upsert(parent, [testRow('1', 'old', null), ...rows], []))
    const before = await admin.query('SELECT id, xmin::text, code FROM public."pa""rent" ORDER BY id')
    await within((transaction) => transaction.rows.upsert(parent, rows, []))
    const later = await admin.query('SELECT id, xmin::text, code FROM public."pa""rent" ORDER BY id')
    assert.equal(later.rows.length, count)
    assert.deepEqual(later.rows, before.rows)
  }
})

test('rows that hold an immediate UNIQUE are named, planned or not; nothing is written', async () => {
  await cleared()
  assert.deepEqual(await target.constraints.buildIndexes(parent, { ...NO_OBJECTS, indexes: [code] }), [])
  await within((transaction) =>
    transaction.rows.upsert(parent, [testRow('1', 'aaa', null), testRow('2', 'bbb', null)], []),
  )
  const swapped = [testRow('1', 'bbb', null), testRow('2', 'aaa', null), testRow('3', 'too long', null)]
  await within(async (transaction) => {
    for (const uniques of [[code], []]) {
      const outcome = await transaction.rows.upsert(parent, swapped, uniques)
      assert.equal(outcome.kind, 'held')
      if (outcome.kind === 'held') assert.deepEqual(outcome.holders.map(({ key }) => key).sort(), ['1', '2'])
    }
    await transaction.rows.delete(parent, ['1', '2'])
    const outcome = await transaction.rows.upsert(parent, swapped, [code])
    assert.ok(outcome.kind === 'done' && outcome.refused.map(({ key }) => key).join() === '3')
  })
  assert.deepEqual(await contents(parent), ['(1,bbb,)', '(2,aaa,)'])
  const twins = [testRow('7', 'xyz', null), testRow('8', 'xyz', null)]
  const violated = await within((transaction) => transaction.rows.upsert(parent, twins, [code])).catch(
    (error: unknown) => error,
  )
  assert.ok(violated instanceof ConstraintViolated)
  await target.constraints.suspend(violated, true)
  await within((transaction) => transaction.rows.upsert(parent, twins, [code]))
  const problems = await target.constraints.buildIndexes(parent, { ...NO_OBJECTS, indexes: [code] })
  assert.match(problems.join(), /rows hold equal values/)
  assert.deepEqual(
    (await target.constraints.all()).map(({ name, state }) => [name, state]),
    [['parent_code', 'suspended']],
  )
  await admin.query('DELETE FROM public."pa""rent" WHERE id = 8')
  assert.deepEqual(await target.constraints.buildIndexes(parent, { ...NO_OBJECTS, indexes: [code] }), [])
  assert.deepEqual(await target.constraints.all(), [])
})

test('a keyless table becomes the same multiset, and equal rows are not rewritten', async () => {
  await cleared()
  const rows = (text: string): TargetRow[] =>
    text.split('').map((letter) => testRow('1', letter === '-' ? null : letter))
  await within((transaction) => transaction.rows.replace(whole, batches(rows('aab--'))))
  const kept = await admin.query<{ xmin: string }>("SELECT DISTINCT xmin::text AS xmin FROM public.whole WHERE b = 'b'")
  await within((transaction) => transaction.rows.replace(whole, batches(rows('ab'), rows('c---'))))
  assert.deepEqual(await contents(whole), ['(1,)', '(1,)', '(1,)', '(1,a)', '(1,b)', '(1,c)'])
  const again = await admin.query<{ xmin: string }>(
    "SELECT DISTINCT xmin::text AS xmin FROM public.whole WHERE b = 'b'",
  )
  assert.deepEqual(again.rows, kept.rows)
})

test('a foreign key waits for its orphans and is checked inside the drain', async () => {
  await cleared()
  await within(async (transaction) => {
    await transaction.rows.copy(parent, testStream([[testRow('1', 'a', null)]]), { overwrite: false })
    await transaction.rows.copy(child, testStream([[testRow('1', '1'), testRow('2', '9'), testRow('3', null)]]), {
      overwrite: false,
    })
    assert.deepEqual(await allOf(transaction.lookup.orphans(child, parent, edge)), ['2'])
    const wanted = [['1'], ['9'], ['77']].map((value) => ({ child, edge, values: [value] }))
    const found: string[] = []
    for await (const { of, keys } of transaction.lookup.children(wanted))
      found.push(`${of.values.join()} ${keys.join()}`)
    assert.deepEqual(found, ['1 1', '9 2'])
    assert.deepEqual(await transaction.lookup.referenced(parent, edge, ['1', '5']), [['1']])
  })
  assert.equal(
    (await target.constraints.buildForeignKeys([{ child, parent, edge: { ...edge, text: true } }]))[0]?.state,
    'suspended',
  )
  assert.equal((await target.constraints.buildForeignKeys([{ child, parent, edge }]))[0]?.state, 'not-valid')
  await within((transaction) => transaction.rows.delete(child, ['2']))
  assert.equal((await target.constraints.buildForeignKeys([{ child, parent, edge }]))[0]?.state, 'validated')
  assert.deepEqual(await target.constraints.all(), [])
  const violated = await within(async (transaction) => {
    assert.deepEqual([...(await transaction.lookup.validatedKeys())], ['child_parent_fk'])
    await transaction.rows.upsert(child, [testRow('5', '5')], [])
    const error: unknown = await transaction.checkConstraints().catch((thrown: unknown) => thrown)
    // The transaction lives on.
    await transaction.rows.upsert(parent, [testRow('5', 'e', null)], [])
    await transaction.checkConstraints()
    return error
  })
  assert.ok(violated instanceof ConstraintViolated)
  assert.deepEqual([violated.table, violated.constraint, violated.kind], ['child', 'child_parent_fk', 'foreign-key'])
  await target.constraints.suspend(violated, true)
  await within(async (transaction) => assert.equal((await transaction.lookup.validatedKeys()).size, 0))
})

test('definitions can be requested twice, and differences are named', async () => {
  await cleared()
  await target.tables.create([{ table: parent, objects: NO_OBJECTS }])
  await target.constraints.buildKeyIndexes([{ table: child, foreignKeyColumns: [['parent_id']], plain: [] }])
  assert.deepEqual(await target.tables.differences(parent), [])
  const wider = testTable('child', { id: 'bigint!', parent_id: 'integer', extra: 'text' }, ['id'])
  assert.deepEqual(await target.tables.differences(wider), [
    'column id is integer, not bigint',
    'column extra is missing',
  ])
  assert.deepEqual(await target.tables.adapt(wider, NO_OBJECTS, { wait: false }), [])
  assert.deepEqual(await target.tables.differences(wider), [])
  const narrower = testTable('child', { id: 'smallint!', parent_id: 'integer', extra: 'integer' }, ['id'])
  assert.deepEqual(await target.tables.adapt(narrower, NO_OBJECTS, { wait: false }), [])
  assert.deepEqual(await target.tables.differences(narrower), [])
})

test('one drain at a time; a session that did not get it is returned clean', async () => {
  const first = await target.beginDrain()
  assert.ok(first)
  for (let at = 0; at < 20; at++) assert.equal(await target.beginDrain(), null)
  await assert.rejects(
    target.beginDrain({ waitMs: 100 }),
    (error: unknown) => error instanceof SyncError && error.code === 'lock-timeout',
  )
  await first[Symbol.asyncDispose]()
  await (await target.beginDrain({ waitMs: 1000 }))[Symbol.asyncDispose]()
})

test('a key parked twice by one drain stays a start key', async () => {
  const parked = { table: 't', key: 'twice', drain: 4 }
  await within((transaction) => transaction.parked.park([{ ...parked, start: false }]))
  await within((transaction) => transaction.parked.park([{ ...parked, start: true }]))
  await within((transaction) => transaction.parked.park([{ ...parked, start: false }]))
  await within(async (transaction) =>
    assert.deepEqual(await transaction.parked.read(['t'], 9), [{ ...parked, start: true }]),
  )
})

test('chunks are taken once, and a quarantined key counts its attempts', async () => {
  await within(async (transaction) => {
    await transaction.tables.step('t', 'ask-for-copy')
    await transaction.chunks.add([{ table: 't', lower: null, bounds: ['a', null] }])
  })
  await within(async (one) => {
    assert.equal((await one.chunks.take(['t']))?.number, 1)
    await within(async (two) => {
      assert.equal((await two.chunks.take(['t']))?.number, 2)
      assert.equal(await two.tables.lock(['t']), true)
    })
  })
  const refused: QuarantinedRow = {
    key: 'k',
    code: '22001',
    message: 'column a: refused by PostgreSQL',
    operation: 'UPDATE',
    digest: 'd',
    references: [{ child: 'c', edge: 'c_code', tokens: ['61'] }],
  }
  await within((transaction) => transaction.quarantine.add('t', [refused], 1))
  await within((transaction) => transaction.quarantine.add('t', [refused], 1))
  await within((transaction) => transaction.quarantine.add('t', [refused], 2))
  const { rows } = await admin.query(
    `SELECT row_key, drain_no, attempts, error_code FROM ${pg.escapeIdentifier(settings.stateSchema)}.sync_parked WHERE reason = 'quarantined'`,
  )
  assert.deepEqual(rows, [{ row_key: 'k', drain_no: '2', attempts: 3, error_code: '22001' }])
  await within(async (transaction) => {
    await transaction.quarantine.holdEntries([{ table: 't', key: 'k', entry: 2n ** 64n - 2n }])
    const expected = { digest: 'd', entry: 2n ** 64n - 2n, references: refused.references, message: refused.message }
    assert.deepEqual(await transaction.quarantine.all(), [{ table: 't', key: 'k', ...expected }])
    assert.equal(await transaction.quarantine.retry(['t']), 1)
    assert.equal((await transaction.quarantine.all())[0]?.digest, null)
  })
})

test('the keys of the last drains are kept, and a gap is reported', async () => {
  const record = (number: number, keys: number): Promise<void> =>
    within(async (transaction) => {
      await transaction.history.recordKeys(
        number,
        Array.from({ length: keys }, (_, at) => ({ table: 't', key: String(at), start: at === 0 })),
      )
      await transaction.history.record({
        number,
        token: `t${number}`,
        consistentAsOf: '2026-01-02T03:04:05.123456Z',
        identity: 'one',
      })
    })
  const complete = (drain: number): Promise<boolean> => within((transaction) => transaction.history.keepsAfter(drain))
  await record(1, 2)
  await record(2, 1)
  await within(async (transaction) => {
    assert.equal((await transaction.history.last()).consistentAsOf, '2026-01-02T03:04:05.123456Z')
    await transaction.history.parkAfter(0, ['t'])
    const keys = (await transaction.parked.read(['t'], 10)).filter(({ drain }) => drain <= 2)
    await transaction.parked.remove(keys)
    assert.deepEqual(keys.map(({ key, drain, start }) => `${key} ${drain} ${start}`).sort(), ['0 2 true', '1 1 false'])
  })
  assert.equal(await complete(0), true)
  assert.equal(await within(async (transaction) => (await transaction.history.last()).token), 't2')
  const kept = (): Promise<number[]> =>
    within(async (transaction) => (await transaction.history.kept()).map(({ number }) => number))
  assert.deepEqual(await kept(), [0, 1, 2])
  await record(201, 1)
  assert.deepEqual(await kept(), [1, 2, 201])
  assert.deepEqual([await complete(0), await complete(1)], [false, true])
  await admin.query(
    `UPDATE ${pg.escapeIdentifier(settings.stateSchema)}.sync_drain_size SET keys = 2000000 WHERE drain_no = 2`,
  )
  await record(202, 1)
  assert.deepEqual([await complete(1), await complete(2)], [false, true])
})

test('a drain finds the keys that it no longer keeps without reading all others', async () => {
  const scans = async () => {
    const { rows } = await admin.query<{ whole: number; index: number }>(
      "SELECT seq_scan::float8 AS whole, idx_scan::float8 AS index FROM pg_stat_user_tables WHERE schemaname = $1 AND relname = 'sync_drain_key'",
      [settings.stateSchema],
    )
    return rows[0] ?? { whole: 0, index: 0 }
  }
  const drains = async (from: number, to: number, keys: number): Promise<void> => {
    // The server counts the scans of a connection when it ends.
    const own = await createTarget(settings)
    for (let number = from; number <= to; number++) {
      await using transaction = await own.begin()
      const each = Array.from({ length: keys }, (_, at) => ({ table: 't', key: String(at), start: false }))
      await transaction.history.recordKeys(number, each)
      const drain = { number, token: `t${number}`, consistentAsOf: '2026-01-02T03:04:05.123456Z', identity: 'one' }
      await transaction.history.record(drain)
      await transaction.commit()
    }
    await own.close()
  }
  await drains(203, 203, 50_000)
  const before = await scans()
  await drains(402, 404, 1)
  await eventually('scans are counted', async () => (await scans()).index > before.index, 10_000)
  assert.equal((await scans()).whole, before.whole)
  const { rows } = await admin.query(
    `SELECT min(drain_no)::int AS first FROM ${pg.escapeIdentifier(settings.stateSchema)}.sync_drain_key`,
  )
  assert.deepEqual(rows, [{ first: 402 }])
})

test('a transaction that loses its connection fails with our error; the pool goes on', async () => {
  const transaction = await target.begin()
  await admin.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mylab-sync' AND state = 'idle in transaction'",
  )
  await assert.rejects(
    transaction.tables.all(),
    (error: unknown) => error instanceof SyncError && error.code === 'lost-connection',
  )
  await transaction[Symbol.asyncDispose]()
  await within((next) => next.tables.all())
})

async function allOf<T>(batches: AsyncIterable<readonly T[]>): Promise<T[]> {
  const all: T[] = []
  for await (const batch of batches) all.push(...batch)
  return all
}
