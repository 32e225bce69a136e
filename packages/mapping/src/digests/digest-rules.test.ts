import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SourceColumn } from '@mylab-sync/core'
import { testColumn, testTable } from '../fixtures.js'
import { defaultMappingOptions } from '../options.js'
import { mapTables } from '../tables.js'

function ruleOf(dataType: string, more: Partial<SourceColumn> = {}): string | null | undefined {
  const table = testTable('t', [testColumn('id'), testColumn('c', dataType, more)], { primaryKey: ['id'] })
  return mapTables([table], defaultMappingOptions).mapped.get('t')?.columns[1]?.digest
}

test('a zero date is digested as NULL only where it becomes NULL', () => {
  assert.equal(ruleOf('date', { nullable: true }), 'temporal-or-null')
  assert.equal(ruleOf('datetime', { nullable: true }), 'temporal-or-null')
  assert.equal(ruleOf('date'), 'temporal')
  assert.equal(ruleOf('time', { nullable: true }), 'temporal')
})

test('values whose text proves nothing have no digest rule', () => {
  assert.equal(ruleOf('float', { precision: 7, scale: 2 }), null)
  assert.equal(ruleOf('float'), 'double')
  assert.equal(ruleOf('point'), null)
  assert.equal(ruleOf('longtext', { json: true }), null)
  assert.equal(ruleOf('json', { json: true }), 'hash')
  assert.equal(ruleOf('set', { members: ['a', 'b'] }), 'list')
  assert.equal(ruleOf('set', { members: ['a', 'with space'] }), null)
})

test('short text stands in the text of its row, and long text as its hash', () => {
  assert.equal(ruleOf('varchar', { length: 255 }), 'text')
  assert.equal(ruleOf('varchar', { length: 256 }), 'hash')
  assert.equal(ruleOf('tinytext', { length: 255 }), 'hash')
  assert.equal(ruleOf('varbinary', { length: 10 }), 'hash')
})
