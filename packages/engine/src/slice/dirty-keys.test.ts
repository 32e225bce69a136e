import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DirtyKeys, dirtyKeysOf, slices } from './dirty-keys.js'

const entry = { id: 1n, table: 't', rowKey: '2', layout: 0 }

test('a plain update dirties one key and starts no closure', () => {
  assert.deepEqual(dirtyKeysOf({ ...entry, operation: 'UPDATE', oldKey: null }), [
    { key: '2', start: false, isThere: true },
  ])
})

test('a changed key dirties both keys, and both start a closure', () => {
  const keys = dirtyKeysOf({ ...entry, operation: 'UPDATE', oldKey: '1' })
  assert.deepEqual(keys, [
    { key: '2', start: true, isThere: true },
    { key: '1', start: true, isThere: false },
  ])
})

test('an insert and a delete each start a closure', () => {
  for (const operation of ['INSERT', 'DELETE'] as const)
    assert.equal(dirtyKeysOf({ ...entry, operation, oldKey: null })[0]?.start, true)
})

test('a key that becomes a start key after its examination is examined again, once', () => {
  const dirty = new DirtyKeys()
  dirty.add('t', '1', false)
  assert.deepEqual(dirty.takeUnexamined(), new Map([['t', ['1']]]))
  assert.equal(dirty.takeUnexamined().size, 0)
  dirty.add('t', '1', true)
  assert.deepEqual(dirty.takeUnexamined(), new Map([['t', ['1']]]))
  dirty.add('t', '1', true)
  assert.equal(dirty.takeUnexamined().size, 0)
})

const TABLES = ['t', 'u']
const KEYS = ['1', '2', '3']
const STEPS = fc.array(
  fc.record({
    does: fc.constantFrom('add', 'add', 'add', 'expect', 'present', 'written', 'examine', 'apply'),
    table: fc.constantFrom(...TABLES),
    key: fc.constantFrom(...KEYS),
    flag: fc.boolean(),
  }),
  { maxLength: 30, size: 'max' },
)

/** The same set as a plain list, searched again for each question. */
class ListedKeys implements Omit<DirtyKeys, 'size' | 'tables' | 'keys'> {
  readonly list: {
    readonly table: string
    readonly key: string
    start: boolean
    expected?: boolean
    present?: boolean
    isWritten?: boolean
    isApplied?: boolean
    seen?: 'plain' | 'start'
  }[] = []

  #find(table: string, key: string): Partial<(typeof this.list)[number]> | undefined {
    return this.list.find((each) => each.table === table && each.key === key)
  }

  add(table: string, key: string, start: boolean): void {
    const known = this.#find(table, key)
    if (known) known.start ||= start
    else this.list.push({ table, key, start })
  }

  expect(table: string, key: string, expected: boolean): void {
    Object.assign(this.#find(table, key) ?? {}, { expected })
  }

  setPresence(table: string, key: string, present: boolean): void {
    Object.assign(this.#find(table, key) ?? {}, { present })
  }

  setWritten(table: string, keys: readonly string[]): void {
    for (const key of keys) Object.assign(this.#find(table, key) ?? {}, { isWritten: true })
  }

  takeUnexamined(): Map<string, string[]> {
    const due = this.list.filter(({ seen, start }) => seen === undefined || (seen === 'plain' && start))
    for (const each of due) each.seen = each.start ? 'start' : 'plain'
    const tables = [...new Set(this.list.map(({ table }) => table))]
    const keysOf = (table: string): string[] => due.filter((each) => each.table === table).map(({ key }) => key)
    return new Map(tables.map((table) => [table, keysOf(table)] as const).filter(([, keys]) => keys.length > 0))
  }

  takeUnapplied(table: string): string[] {
    const due = this.list.filter((each) => each.table === table && !each.isApplied)
    for (const each of due) each.isApplied = true
    return due.map(({ key }) => key)
  }

  has(table: string, key: string): boolean {
    return this.#find(table, key) !== undefined
  }

  isStart(table: string, key: string): boolean {
    return this.#find(table, key)?.start ?? false
  }

  isExpected(table: string, key: string): boolean {
    return this.#find(table, key)?.expected ?? false
  }

  presence(table: string, key: string): boolean | undefined {
    return this.#find(table, key)?.present
  }

  isWritten(table: string, key: string): boolean {
    return this.#find(table, key)?.isWritten ?? false
  }
}

type Step = typeof STEPS extends fc.Arbitrary<(infer T)[]> ? T : never

function take(keys: Omit<DirtyKeys, 'size' | 'tables' | 'keys'>, { does, table, key, flag }: Step): unknown {
  if (does === 'add') keys.add(table, key, flag)
  if (does === 'expect') keys.expect(table, key, flag)
  if (does === 'present') keys.setPresence(table, key, flag)
  if (does === 'written') keys.setWritten(table, [key])
  if (does === 'examine') return keys.takeUnexamined()
  return does === 'apply' ? keys.takeUnapplied(table) : undefined
}

test('dirty keys are a set that hands out each key once, and once more as a start', () => {
  fc.assert(
    fc.property(STEPS, (steps) => {
      const [dirty, listed] = [new DirtyKeys(), new ListedKeys()]
      for (const step of steps) assert.deepEqual(take(dirty, step), take(listed, step))
      assert.equal(dirty.size, listed.list.length)
      const told = (each: { table: string; key: string; start: boolean }): string => Object.values(each).join()
      assert.deepEqual(
        [...dirty.keys()].map(told).toSorted(),
        listed.list.map(({ table, key, start }) => told({ table, key, start })).toSorted(),
      )
      for (const table of TABLES)
        for (const key of KEYS)
          for (const ask of ['has', 'isStart', 'isExpected', 'presence', 'isWritten'] as const)
            assert.equal(dirty[ask](table, key), listed[ask](table, key), `${ask} ${table} ${key}`)
    }),
    { numRuns: 300 },
  )
})

test('slices hold the whole list in its order, none larger than asked for', () => {
  fc.assert(
    fc.property(fc.array(fc.nat()), fc.integer({ min: 1, max: 7 }), (list, size) => {
      const parts = [...slices(list, size)]
      assert.deepEqual(parts.flat(), list)
      assert.ok(parts.every((part) => part.length > 0 && part.length <= size))
    }),
  )
})
