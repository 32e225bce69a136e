import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TableProgress, TableState, TableVerification } from '@mylab-sync/core'
import { walkOrder } from './background.js'

const at = (day: number): string => `2026-01-0${day}T00:00:00.000000Z`

function states(...tables: (readonly [string, TableState])[]): ReadonlyMap<string, TableProgress> {
  return new Map(tables.map(([table, state]) => [table, { table, state } as TableProgress]))
}

function known(table: string, day: number | null, walk: string | null = null): [string, TableVerification] {
  const passed = day === null ? null : { since: at(day), until: at(day) }
  return [table, { table, walk, isReopened: false, passed, verified: null, replaced: 0, differing: 0, repaired: 0 }]
}

const OPEN = states(['a', 'live'], ['b', 'recopied'], ['c', 'live'], ['d', 'live'], ['shut', 'paused'])

test('the open table whose last pass is the oldest is walked first', () => {
  const seen = new Map([known('a', 3), known('b', 2), known('c', null, '{}'), known('shut', 1)])
  assert.deepEqual(walkOrder(OPEN, seen), ['c', 'd', 'b', 'a'])
})

test('what was asked for is compared unless it was since', () => {
  const seen = new Map([known('a', 3), known('b', 2), known('c', 1)])
  assert.deepEqual(walkOrder(OPEN, seen, { table: null, since: at(2) }), ['d', 'c'])
  assert.deepEqual(walkOrder(OPEN, seen, { table: 'a', since: at(3) }), [])
  assert.deepEqual(walkOrder(OPEN, seen, { table: 'a', since: at(4) }), ['a'])
})
