import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sourceColumn, sourceTable } from '@mylab-sync/core/testing'
import { defaultMappingOptions } from '@mylab-sync/mapping'
import { Model } from '../model/model.js'
import { movedCounters } from './counters.js'

const id = sourceColumn('id', 'int', { autoIncrement: true, nullable: false })
const code = sourceColumn('code', 'int', { nullable: false })
const tables = [
  sourceTable('counted', [id], { primaryKey: ['id'] }),
  sourceTable('beside', [code, id], { primaryKey: ['code'] }),
  sourceTable('plain', [code], { primaryKey: ['code'] }),
]
const options = {
  include: ['*'],
  exclude: [],
  mapping: defaultMappingOptions,
  batchRows: null,
  copyConcurrency: 1,
  memoryMb: 256,
  schemaChanges: 'apply',
  verify: { share: 0, repair: 'report' },
} as const
const catalog = { vendor: 'mariadb', version: '10.11', database: 'd', tables, olderPackage: [] } as const
const model = new Model({ catalog, fingerprints: new Map() }, { options }, null)
const counters = (next: number): Map<string, bigint> =>
  new Map([...model.tables.keys()].map((name) => [name, BigInt(next)]))

test('a counter is set again once it has moved, or a changed row may hold its next', () => {
  const [before, none] = [counters(10), new Map<string, bigint>()]
  assert.deepEqual(movedCounters(model, { before, now: before, tail: none }), [])
  assert.deepEqual(movedCounters(model, { before, now: counters(11), tail: none }).sort(), ['beside', 'counted'])
  assert.deepEqual(movedCounters(model, { before, now: before, tail: new Map([['counted', 9n]]) }), [])
  assert.deepEqual(movedCounters(model, { before, now: before, tail: new Map([['counted', 10n]]) }), ['counted'])
  assert.deepEqual(movedCounters(model, { before, now: before, tail: new Map([['beside', 1n]]) }), ['beside'])
})
