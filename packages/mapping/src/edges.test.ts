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

test('an action edge between unlike ENUMs is refused: the server compares numbers', () => {
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

test('a text edge may be misspelt, even under _bin, which ignores trailing spaces', () => {
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

test('an uncarried parent is capture-only, unless its children may be misspelt', () => {
  const numbers = family(testColumn('k'), testColumn('pk'))
  assert.deepEqual(graph(numbers, numbers.slice(1)).captureOnly, ['parent'])
  const texts = family(testColumn('k', 'varchar', { length: 9 }), testColumn('pk', 'varchar', { length: 9 }))
  assert.deepEqual(
    graph(texts, texts.slice(1)).refused.map((refusal) => refusal.table),
    ['child'],
  )
})

test('an edge covers a key computed from its columns through any nested expressions', () => {
  const computed = (expression: string): Partial<SourceColumn> => ({ generated: 'stored', expression })
  const overlapping = (read: string, keyed: string): boolean | undefined => {
    const columns = [testColumn('id'), testColumn('wärd'), testColumn('half', 'int', computed(read))]
    const code = testColumn('code', 'int', computed('(`HALF` + 1)'))
    const bed = testTable('bed', [...columns, code], {
      primaryKey: [keyed],
      foreignKeys: [testForeignKey(['wärd'], 'ward', ['id'], { onUpdate: 'CASCADE' })],
    })
    const ward = testTable('ward', [testColumn('id')], { primaryKey: ['id'] })
    return graph([ward, bed]).edges[0]?.overlapping
  }
  assert.equal(overlapping('(`wärd` DIV 2)', 'half'), true)
  assert.equal(overlapping('(`WÄRD` DIV 2)', 'code'), true)
  assert.equal(overlapping('(`wärd` DIV 2)', 'id'), false)
  assert.equal(overlapping('(`id` DIV 2)', 'code'), false)
})

test('an edge covers a computed column that another action edge references', () => {
  const code = testColumn('code', 'int', { generated: 'virtual', expression: '`ward` + 100' })
  const ward = testTable('ward', [testColumn('id')], { primaryKey: ['id'] })
  const bed = testTable('bed', [testColumn('id'), testColumn('ward'), code], {
    primaryKey: ['id'],
    foreignKeys: [testForeignKey(['ward'], 'ward', ['id'], { onUpdate: 'CASCADE' })],
  })
  const sheet = testTable('sheet', [testColumn('id'), testColumn('bed')], {
    primaryKey: ['id'],
    foreignKeys: [testForeignKey(['bed'], 'bed', ['code'], { onDelete: 'CASCADE' })],
  })
  const of = (tables: readonly SourceTable[]) => graph(tables).edges.find(({ child }) => child === 'bed')?.overlapping
  assert.equal(of([ward, bed, sheet]), true)
  assert.equal(of([ward, bed]), false)
})

test('an action edge over unlike shown digits is refused: servers compare raw values', () => {
  const digits = (scale: number | null) => ({ precision: 8, scale })
  const reasons = (a: number | null, b: number | null) =>
    graph(family(testColumn('k', 'double', digits(a)), testColumn('pk', 'double', digits(b)))).refused.length
  assert.deepEqual([reasons(2, 1), reasons(2, null), reasons(2, 2), reasons(null, null)], [1, 1, 0, 0])
})
