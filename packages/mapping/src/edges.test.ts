import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SourceColumn, SourceTable } from '@mylab-sync/core'
import { edges } from './edges.js'
import { testColumn, testForeignKey, testTable } from './fixtures.js'
import { defaultMappingOptions } from './options.js'
import { mapTables } from './tables.js'

function family(parentColumn: SourceColumn, childColumn: SourceColumn): readonly SourceTable[] {
  const parent = testTable('parent', [parentColumn], { primaryKey: [parentColumn.name] })
  const child = testTable('child', [testColumn('id'), childColumn], {
    primaryKey: ['id'],
    foreignKeys: [testForeignKey([childColumn.name], 'parent', [parentColumn.name], { onDelete: 'CASCADE' })],
  })
  return [parent, child]
}

function graph(tables: readonly SourceTable[], carried = tables) {
  return edges(mapTables(carried, defaultMappingOptions).mapped, tables)
}

const members = (...names: string[]): Partial<SourceColumn> => ({
  members: names,
  columnType: `enum('${names.join("','")}')`,
})

test('an action edge between ENUMs of unlike members is refused: the server compares numbers there', () => {
  const unlike = graph(family(testColumn('e', 'enum', members('a', 'b')), testColumn('pe', 'enum', members('b', 'a'))))
  assert.deepEqual(
    unlike.refused.map((refusal) => refusal.table),
    ['child'],
  )
  const alike = graph(family(testColumn('e', 'enum', members('a', 'b')), testColumn('pe', 'enum', members('a', 'b'))))
  assert.equal(alike.refused.length, 0)
})

test('an action edge between an ENUM and an integer is refused', () => {
  const mixed = graph(family(testColumn('e', 'enum', members('a', 'b')), testColumn('pe', 'tinyint')))
  assert.deepEqual(
    mixed.refused.map((refusal) => refusal.table),
    ['child'],
  )
})

test('an edge over text may be misspelt, under _bin too, since ordinary _bin ignores trailing spaces', () => {
  for (const collation of ['utf8mb4_general_ci', 'utf8mb4_bin']) {
    const [edge] = graph(
      family(
        testColumn('k', 'varchar', { collation, length: 9 }),
        testColumn('pk', 'varchar', { collation, length: 9 }),
      ),
    ).edges
    assert.equal(edge?.text, true, collation)
  }
  const exact = { collation: 'utf8mb4_nopad_bin', length: 9 }
  assert.equal(
    graph(family(testColumn('k', 'varchar', exact), testColumn('pk', 'varchar', exact))).edges[0]?.text,
    false,
  )
})

test('a parent that is not carried is captured only, unless its children may be misspelt', () => {
  const numbers = family(testColumn('k'), testColumn('pk'))
  assert.deepEqual(graph(numbers, numbers.slice(1)).captureOnly, ['parent'])
  const texts = family(testColumn('k', 'varchar', { length: 9 }), testColumn('pk', 'varchar', { length: 9 }))
  assert.deepEqual(
    graph(texts, texts.slice(1)).refused.map((refusal) => refusal.table),
    ['child'],
  )
})
