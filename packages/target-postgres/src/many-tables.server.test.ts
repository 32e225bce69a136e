import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type IndexPlan,
  NO_TLS,
  SyncError,
  type TableMapping,
  type TargetTransaction,
  TargetTableUnfit,
} from '@mylab-sync/core'
import { shared, sharedServers } from '@mylab-sync/testkit'
import pg from 'pg'
import { createTarget } from './target.js'
import { Transaction } from './transaction.js'
import { NO_OBJECTS, testEdge, testRow, testStream, testTable } from './test-support.js'

const DATABASE = 'target_together_test'
const servers = await sharedServers({ services: ['postgres'] })
const { host, port } = servers.target
const place = { ...servers.product.target, host, port, tls: NO_TLS, instance: 'default' }
const parent = testTable('parent', { id: 'integer!', code: 'character varying(5)', doc: 'json' }, ['id'])
const child = testTable('child', { id: 'integer!', parent_id: 'integer' }, ['id'])
const texts = testTable('texts', { a: 'integer!', b: 'text' }, ['a'])

await servers.createTargetDatabase(DATABASE)
const admin = await shared(servers.targetAdmin(DATABASE))
const target = await shared(
  createTarget({ ...place, database: DATABASE, schema: 'public', stateSchema: 'mylab_sync' }),
  (opened) => opened.close(),
)
await target.admin.migrate()

async function cleared(): Promise<void> {
  await admin.query('DROP TABLE IF EXISTS public.child, public.parent, public.texts')
  for (const table of [parent, child, texts]) {
    await target.tables.create([{ table: table, objects: NO_OBJECTS }])
    await target.constraints.buildKeyIndexes([{ table: table, foreignKeyColumns: [], plain: [] }])
  }
}

/** Commits what `work` does; rolls back where it throws. */
async function within<T>(work: (transaction: TargetTransaction) => Promise<T>): Promise<T> {
  await using transaction = await target.begin()
  const result = await work(transaction)
  await transaction.commit()
  return result
}

async function contents(table: TableMapping): Promise<string[]> {
  const { rows } = await admin.query<{ row: string }>(
    `SELECT t::text AS row FROM public.${pg.escapeIdentifier(table.name)} t ORDER BY 1`,
  )
  return rows.map(({ row }) => row)
}

test('batches of many tables are written together, or each alone if one is refused', async () => {
  await cleared()
  const odd = ['{a"b\\', 'NULL', '', ' , ', "'é\n\t"]
  await within(async (transaction) => {
    const written = await transaction.rows.upsertAll([
      { table: texts, rows: odd.map((text, at) => testRow(String(at), text)), uniques: [] },
      { table: child, rows: [testRow('1', null), testRow('1', '7'), testRow('2', '8')], uniques: [] },
      { table: parent, rows: [], uniques: [] },
      { table: child, rows: [testRow('3', '9')], uniques: [] },
      { table: parent, rows: Array.from({ length: 700 }, (_, at) => testRow(String(at), 'c', null)), uniques: [] },
    ])
    assert.ok(written.length === 5 && written.every((each) => each.kind === 'done' && each.refused.length === 0))
    await transaction.rows.deleteAll([
      { table: child, keys: ['2', '2', '77'] },
      { table: parent, keys: Array.from({ length: 690 }, (_, at) => String(at)) },
      { table: texts, keys: [] },
    ])
  })
  const { rows } = await admin.query<{ b: string }>('SELECT b FROM public.texts ORDER BY a')
  assert.deepEqual(
    rows.map(({ b }) => b),
    odd,
  )
  assert.deepEqual(await contents(child), ['(1,7)', '(3,9)'])
  assert.equal((await contents(parent)).length, 10)
  await admin.query('ALTER TABLE public.child ADD CONSTRAINT no_four UNIQUE (parent_id)')
  await within(async (transaction) => {
    const [first, second, third] = await transaction.rows.upsertAll([
      { table: texts, rows: [testRow('7', 'seven')], uniques: [] },
      { table: parent, rows: [testRow('1', 'too long', null), testRow('2', 'new', null)], uniques: [] },
      { table: child, rows: [testRow('4', '9')], uniques: [] },
    ])
    assert.deepEqual(first, { kind: 'done', refused: [] })
    assert.deepEqual(second?.kind === 'done' && second.refused.map(({ key, code: state }) => [key, state]), [
      ['1', '22001'],
    ])
    assert.deepEqual(third?.kind === 'held' && third.holders.map(({ key }) => key), ['3'])
  })
  assert.deepEqual(await contents(child), ['(1,7)', '(3,9)'])
  assert.equal((await contents(parent)).length, 11)
  await admin.query('ALTER TABLE public.child RENAME TO gone')
  const lost = within((transaction) =>
    transaction.rows.deleteAll([
      { table: texts, keys: ['7'] },
      { table: child, keys: ['1'] },
    ]),
  )
  await assert.rejects(lost, (error: unknown) => error instanceof TargetTableUnfit && error.table === 'child')
  assert.equal((await contents(texts)).length, odd.length + 1)
  await admin.query('DROP TABLE public.gone')
})

test('children of many parents are found together, in pages where there are many', async () => {
  await cleared()
  const edge = testEdge(child, parent)
  const many = Array.from({ length: 6_000 }, (_, at) => testRow(String(at), '1'))
  await within(async (transaction) => {
    await transaction.rows.copy(child, testStream([[testRow('7000', '2')], many]), { overwrite: false })
    const pages: string[] = []
    const of = (parents: string[]) => ({ child, edge, values: parents.map((key) => [key]) })
    for await (const { of: found, keys } of transaction.lookup.children([
      of(['2']),
      of(['1']),
      of(['77']),
      of(['2', '3']),
    ]))
      pages.push(`${found.values.join('+')}: ${keys.length}`)
    assert.deepEqual(pages, ['2: 1', '1: 5000', '1: 1000', '2+3: 1'])
  })
  await admin.query('DROP TABLE public.child')
  await using transaction = await target.begin()
  const lost = transaction.lookup
    .children([{ child, edge, values: [['1']] }])
    [Symbol.asyncIterator]()
    .next()
  await assert.rejects(lost, (error: unknown) => error instanceof TargetTableUnfit && error.table === child.source.name)
})

test('a connection lost after rows were written together is an error of ours', async () => {
  await cleared()
  const row = { table: child, rows: [testRow('1', '7')], uniques: [] }
  await within((transaction) => transaction.rows.upsertAll([row]))
  const unchanged = within((transaction) => {
    assert.ok(transaction instanceof Transaction)
    const { session } = transaction
    const answers = session.answers.bind(session)
    session.answers = async (statements) => {
      const written = await answers(statements)
      session.client.connection.stream.destroy()
      return written
    }
    return transaction.rows.upsertAll([row])
  })
  await assert.rejects(unchanged, (error: unknown) => error instanceof SyncError && error.code === 'lost-connection')
})

test('one look tells which tables lack an object and which foreign keys are due', async () => {
  await cleared()
  const edge = testEdge(child, parent)
  const index = { unique: false, columns: ['parent_id'], parts: ['parent_id'] }
  const plain: IndexPlan = { ...index, name: 'child_parent', deferrable: false }
  const unique: IndexPlan = { ...index, unique: true, name: 'child_unique', deferrable: true }
  const objects = { ...NO_OBJECTS, indexes: [plain, unique], checks: [{ name: 'child_id', expression: 'id > 0' }] }
  const due = async (): Promise<readonly [boolean, string[]]> => {
    const planned = { foreignKeyColumns: [], foreignKeys: [] }
    const found = await target.constraints.unbuilt([
      { ...planned, table: child, objects },
      { ...planned, table: parent, objects: NO_OBJECTS },
    ])
    return [found.isForeignKeyDue(child, edge), [...found.tables]]
  }
  assert.deepEqual(await due(), [true, ['child']])
  assert.deepEqual(await target.constraints.buildIndexes(child, objects), [])
  assert.deepEqual(await due(), [true, []])
  for (const harm of ['DROP CONSTRAINT child_id', 'DROP CONSTRAINT child_unique']) {
    await admin.query(`ALTER TABLE public.child ${harm}`)
    assert.deepEqual(await due(), [true, ['child']])
    assert.deepEqual(await target.constraints.buildIndexes(child, objects), [])
  }
  await within((transaction) => transaction.rows.upsert(child, [testRow('1', '5')], []))
  assert.equal((await target.constraints.buildForeignKeys([{ child, parent, edge }]))[0]?.state, 'not-valid')
  assert.deepEqual(await due(), [true, []])
  await within((transaction) => transaction.rows.delete(child, ['1']))
  assert.equal((await target.constraints.buildForeignKeys([{ child, parent, edge }]))[0]?.state, 'validated')
  assert.deepEqual(await due(), [false, []])
})
