import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { tablesOfTurn } from './turns.js'

const TURNS = 18

test('any 18 turns in a row cover all tables', () => {
  fc.assert(
    fc.property(fc.nat(1_000), fc.nat(100_000), (count, first) => {
      const tables = Array.from({ length: count }, (_, n) => `t${n}`)
      const turns = Array.from({ length: TURNS }, (_, n) => tablesOfTurn(tables, first + n))
      assert.equal(new Set(turns.flat()).size, count)
    }),
  )
})

test('few tables take one turn, and many tables a small part of them', () => {
  const tables = Array.from({ length: 400 }, (_, n) => `t${n}`)
  assert.deepEqual(tablesOfTurn(tables.slice(0, 20), 7), tables.slice(0, 20))
  assert.equal(tablesOfTurn(tables, 7).length, 23)
  assert.deepEqual(tablesOfTurn([], 7), [])
})
