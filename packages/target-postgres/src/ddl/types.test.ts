import assert from 'node:assert/strict'
import { test } from 'node:test'
import { holds } from './types.js'

test('an equal or wider type holds every value', () => {
  for (const [found, wanted] of [
    ['integer', 'integer'],
    ['bigint', 'smallint'],
    ['numeric', 'bigint'],
    ['numeric(20,0)', 'bigint'],
    ['numeric(12,4)', 'numeric(10,2)'],
    ['text', 'character varying(30)'],
    ['character varying', 'character varying(30)'],
    ['character varying(40)', 'character varying(30)'],
    ['timestamp(6) without time zone', 'timestamp(0) without time zone'],
    ['timestamp with time zone', 'timestamp(3) with time zone'],
    ['double precision', 'real'],
  ] as const)
    assert.ok(holds(found, wanted), `${found} holds ${wanted}`)
})

test('a narrower or different type does not hold every value', () => {
  for (const [found, wanted] of [
    ['smallint', 'integer'],
    ['numeric(18,0)', 'bigint'],
    ['numeric(10,4)', 'numeric(10,2)'],
    ['numeric(10,2)', 'numeric'],
    ['character varying(20)', 'character varying(30)'],
    ['character varying(30)', 'text'],
    ['timestamp(3) with time zone', 'timestamp(3) without time zone'],
    ['timestamp(0) without time zone', 'timestamp(3) without time zone'],
    ['bit(9)', 'bit(8)'],
    ['text', 'integer'],
  ] as const)
    assert.ok(!holds(found, wanted), `${found} does not hold ${wanted}`)
})
