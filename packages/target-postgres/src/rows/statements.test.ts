import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type KeyColumn, ValueRefused } from '@mylab-sync/core'
import { testColumn, testRow, testTable } from '../test-support.js'
import { holderQuery } from './conflicts.js'
import { bytesOf, columnArrays, insertSelect, keyArrays, upsertTail } from './statements.js'

const TABLE = testTable('t"x', { 'i d': 'integer!', 'na"me': 'character varying(9)', doc: 'json' }, ['i d'])
const BINARY = testTable('b', { id: 'integer!', doc: 'jsonb' }, ['id'])

test('values are cast to types without length, and names are quoted', () => {
  assert.equal(
    insertSelect('"s"."t""x"', TABLE, ''),
    'INSERT INTO "s"."t""x" AS t ("i d", "na""me", "doc") SELECT u.c0::integer, u.c1::varchar, u.c2::json FROM unnest($1::text[], $2::text[], $3::text[]) AS u(c0, c1, c2)',
  )
})

test('jsonb numbers that differ only in their digits count as different', () => {
  assert.match(upsertTail(BINARY), /\(t\."doc"::text\) IS DISTINCT FROM \(EXCLUDED\."doc"::text\)/)
})

test('an upsert writes only what differs, comparing json as text', () => {
  assert.equal(
    upsertTail(TABLE),
    ' ON CONFLICT ("i d") DO UPDATE SET "na""me" = EXCLUDED."na""me", "doc" = EXCLUDED."doc" WHERE (t."na""me" COLLATE "C", t."doc"::text) IS DISTINCT FROM (EXCLUDED."na""me" COLLATE "C", EXCLUDED."doc"::text)',
  )
})

test('a table with key columns only has nothing to update', () => {
  assert.equal(upsertTail(testTable('l', { a: 'integer!' }, ['a'])), ' ON CONFLICT ("a") DO NOTHING')
})

test('a key that the target cannot hold is left out', () => {
  const column: KeyColumn = {
    column: testColumn('a', 'integer!'),
    rule: 'integer',
    toTarget: (token) => {
      if (token === 'bad') throw new ValueRefused('a', 'test')
      return token
    },
    fromTarget: (text) => text,
  }
  assert.deepEqual(keyArrays([column], ['1', 'bad', '2']), [['1', '2']])
  assert.equal(keyArrays([column], ['bad']), null)
})

test('arrays of a subset of columns keep NULL', () => {
  const rows = [testRow('1', null, '{}'), testRow('2', 'b', null)]
  assert.deepEqual(columnArrays(rows, [1, 2]), [
    [null, 'b'],
    ['{}', null],
  ])
  assert.equal(bytesOf(rows), 5)
})

test('conflicting rows are looked up by the columns of the key and of the UNIQUE only', () => {
  const { text, columns } = holderQuery('"t"', TABLE, { name: 'u', parts: ['"na""me" DESC'] })
  assert.deepEqual(columns, [0, 1])
  assert.ok(text.includes('"na""me" AS e0'))
  assert.ok(!text.includes('DESC'))
  assert.ok(!text.includes('doc'))
})
