import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storageLike, StorageNames } from './storage-names.js'

test('storage names, as MySQL 9.7 prints them, lead to their tables', () => {
  const tables = ['emptied', "ünï `q' x", 'aux', 'g$', 'ä-', '日本', 'pt', 'no_storage']
  const names = new StorageNames('my-shop', tables)
  const of = (name: string): readonly string[] => names.tablesOf(`my@002dshop/${name}`)
  assert.deepEqual(of('emptied'), ['emptied'])
  assert.deepEqual(of('@1on@0v@0020@0060q@0027@0020x'), ["ünï `q' x"])
  assert.deepEqual(of('aux@@@'), ['aux'])
  assert.deepEqual(of('g@0024'), ['g$'])
  assert.deepEqual(of('@0k@002d'), ['ä-'])
  assert.deepEqual(of('@65e5@672c'), ['日本'])
  assert.deepEqual(of('pt#p#p0'), ['pt'])
  assert.deepEqual(of('pt#p#p0#sp#s1'), ['pt'])
  assert.deepEqual(of('#sql-ib1065-1'), [])
  assert.deepEqual(names.tablesOf('shop/emptied'), [])
})

test('a storage name that fits several letters leads to the tables of each', () => {
  const names = new StorageNames('shop', ['ä', 'ö', 'äö'])
  assert.deepEqual(names.tablesOf('shop/@0k'), ['ä', 'ö'])
  assert.deepEqual(names.tablesOf('shop/@0k@0l'), ['äö'])
})

test('the LIKE pattern matches every spelling of a storage name', () => {
  assert.equal(storageLike('a_b-ä'), 'a\\_b@%@%')
})
