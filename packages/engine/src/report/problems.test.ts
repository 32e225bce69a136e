import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConstraintState, TABLE_STATES, type TableState, type TargetTableName } from '@mylab-sync/core'
import { problemsOf } from './problems.js'

const NONE = { lagMs: null, tables: [], constraints: [] }

function table(
  state: TableState,
  more: { problem?: string; waits?: boolean; quarantined?: number; rowsDifferent?: number } = {},
) {
  return { table: 't', state, problem: null, waits: false, quarantined: 0, rowsDifferent: 0, ...more }
}

test('an installation at rest has no problem', () => {
  assert.deepEqual(problemsOf(NONE), [])
  assert.deepEqual(problemsOf({ ...NONE, lagMs: 59_999, tables: [table('live')] }), [])
})

test('a change that waits for a minute is a problem of the installation', () => {
  const [problem] = problemsOf({ ...NONE, lagMs: 61_000 })
  assert.deepEqual([problem?.table, problem?.code], [null, 'changes-stalled'])
})

test('each state has its own code, and only some are problems without a text', () => {
  const coded = (more: { problem?: string }): (string | undefined)[] =>
    TABLE_STATES.map((state) => problemsOf({ ...NONE, tables: [table(state, more)] })[0]?.code)
  assert.deepEqual(
    coded({ problem: 'why' }),
    TABLE_STATES.map((state) => `table-${state}`),
  )
  assert.deepEqual(coded({}).filter(Boolean), ['table-suspect', 'table-broken', 'table-gone'])
})

test('who has to act is decided by what is recorded, and not by the sentence', () => {
  const remedyOf = (waits: boolean): string =>
    problemsOf({ ...NONE, tables: [table('suspect', { problem: 'any words', waits })] })[0]?.remedy ?? ''
  assert.match(remedyOf(true), /^Run the named statement in the target/)
  assert.match(remedyOf(false), /^A running daemon or worker copies it again/)
})

test('a table with a problem and quarantined rows has both', () => {
  const found = problemsOf({ ...NONE, tables: [table('broken', { problem: 'why', quarantined: 2 })] })
  assert.deepEqual(
    found.map(({ code, text }) => [code, text]),
    [
      ['table-broken', 'why'],
      ['rows-quarantined', '2 rows are quarantined'],
    ],
  )
})

test('rows that differ are a problem of their table, which repair mends', () => {
  const [problem, ...others] = problemsOf({ ...NONE, tables: [table('live', { rowsDifferent: 1 })] })
  assert.deepEqual([problem?.code, problem?.text, others], ['rows-differ', '1 row differs from the source', []])
  assert.match(problem?.remedy ?? '', /: mylab-sync repair --table t$/)
})

test('a constraint that is not held keeps a name with a colon whole', () => {
  const constraint: ConstraintState = {
    table: 'a: b' as TargetTableName,
    name: 'u',
    kind: 'unique',
    state: 'suspended',
    detail: 'broken by rows of the source',
    owned: true,
  }
  const [problem, ...others] = problemsOf({
    ...NONE,
    constraints: [constraint, { ...constraint, state: 'validated' }],
  })
  assert.deepEqual(
    [problem?.table, problem?.code, problem?.text, others.length],
    ['a: b', 'constraint-not-held', 'unique u is suspended: broken by rows of the source', 0],
  )
})
