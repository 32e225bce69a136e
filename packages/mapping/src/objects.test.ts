import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SourceTable } from '@mylab-sync/core'
import { edges } from './edges.js'
import { testColumn, testForeignKey, testIndex, testTable } from './fixtures.js'
import { targetName } from './names.js'
import { tableObjects } from './objects.js'
import { defaultMappingOptions } from './options.js'
import { mapTables } from './tables.js'

function objectsOf(table: SourceTable, referencedColumnSets: readonly (readonly string[])[] = []) {
  const mapping = mapTables([table], defaultMappingOptions).mapped.get(table.name)
  assert.ok(mapping)
  return tableObjects(mapping, { referencedColumnSets })
}

test('names', () => {
  assert.equal(targetName('Ab'), 'Ab')
  assert.equal(targetName('Ab', { lower: true }), 'ab')
  assert.equal(targetName('xmin', { column: true }), 'xmin_')
  assert.equal(Buffer.byteLength(targetName('x'.repeat(64))), 63)
  assert.match(targetName('日'.repeat(30)), /^日{18}[0-9a-f]{8}$/)
})

test('types, keys and refusals', () => {
  const table = testTable('t', [testColumn('a'), testColumn('b', 'odd')], {})
  assert.deepEqual(
    mapTables([table], defaultMappingOptions).refused.map(({ column }) => column),
    ['b'],
  )
  const twice = mapTables([testTable('A', [testColumn('a')]), testTable('a', [testColumn('a')])], {
    ...defaultMappingOptions,
    names: 'lower',
  })
  assert.equal(twice.refused.length, 2)
  const unique = testTable('u', [testColumn('a'), testColumn('b', 'int', { nullable: true })], {
    indexes: [testIndex('ub', ['b'], { unique: true }), testIndex('ua', ['a'], { unique: true })],
  })
  const mapping = mapTables([unique], defaultMappingOptions).mapped.get('u')
  assert.deepEqual(
    mapping?.key?.columns.map(({ column }) => column.name),
    ['a'],
  )
  assert.deepEqual(
    objectsOf(unique).indexes.map(({ name }) => name),
    ['u_ub'],
  )
})

test('indexes', () => {
  const table = testTable(
    't',
    [
      testColumn('id'),
      testColumn('n', 'varchar', { length: 1000 }),
      testColumn('s', 'varchar', { length: 50 }),
      testColumn('b', 'blob', { length: 65535 }),
    ],
    {
      primaryKey: ['id'],
      indexes: [
        testIndex('long', ['n']),
        testIndex('longu', ['n'], { unique: true }),
        testIndex('pre', [['n', 3]]),
        testIndex('bpre', [['b', 4]], { unique: true }),
        testIndex('su', ['s'], { unique: true }),
        testIndex('both', ['id', 's'], { unique: true }),
        testIndex('ft', ['s'], { kind: 'fulltext' }),
      ],
    },
  )
  const { indexes, notCarried } = objectsOf(table, [['S', 'id']])
  assert.deepEqual(
    indexes.map(({ name, parts, deferrable }) => [name, parts.join(), deferrable]),
    [
      ['t_long', '"n"', false],
      ['t_longu', 'md5("n")', false],
      ['t_pre', 'left("n"::text, 3)', false],
      ['t_bpre', 'substr("b", 1, 4)', false],
      ['t_su', '"s"', true],
      ['t_both', '"id","s"', false],
    ],
  )
  assert.deepEqual(
    notCarried.map(({ object }) => object),
    ['FULLTEXT INDEX ft'],
  )
})

test('a UNIQUE equal to the key is skipped; in another order it is not deferrable', () => {
  const indexes = [
    testIndex('same', ['A', 'b'], { unique: true }),
    testIndex('turned', ['b', 'a'], { unique: true }),
    testIndex('part', ['a'], { unique: true }),
    testIndex('more', ['a', 'b', 'c'], { unique: true }),
    testIndex('plain', ['a', 'b']),
  ]
  const columns = [testColumn('a'), testColumn('b'), testColumn('c')]
  const objects = objectsOf(testTable('t', columns, { primaryKey: ['a', 'b'], indexes }))
  assert.deepEqual(
    objects.indexes.map(({ name, unique, deferrable }) => [name, unique, deferrable]),
    [
      ['t_turned', false, false],
      ['t_part', true, true],
      ['t_more', true, true],
      ['t_plain', false, false],
    ],
  )
  assert.deepEqual(objects.notCarried, [{ kind: 'index', object: 'UNIQUE same', reason: 'it repeats the key' }])
})

test('checks, defaults, identity', () => {
  const table = testTable(
    't',
    [
      testColumn('id', 'int', { autoIncrement: true }),
      testColumn('n', 'int', { defaultValue: { kind: 'literal', text: '007' } }),
      testColumn('e', 'enum', { members: ["a'b"], defaultValue: { kind: 'literal', text: "a'b" } }),
      testColumn('d', 'date', { defaultValue: { kind: 'literal', text: '0000-00-00' } }),
      testColumn('s', 'varchar', { length: 9 }),
      testColumn('x', 'varchar', { length: 9, defaultValue: { kind: 'expression', text: 'md5(rand())' } }),
      testColumn('u', 'varchar', { length: 9, defaultValue: { kind: 'expression', text: "_utf8mb4\\'grÃ¼n\\'" } }),
      testColumn('w', 'varchar', { length: 9, defaultValue: { kind: 'expression', text: "_latin1\\'é\\'" } }),
      testColumn('g', 'varchar', { length: 9, defaultValue: { kind: 'literal', text: '?' } }),
      testColumn('b', 'varbinary', { length: 9, defaultValue: { kind: 'literal', text: '\ufffd\0' } }),
      testColumn('bx', 'binary', { length: 3, defaultValue: { kind: 'bytes', hex: '00ff' } }),
      testColumn('ts', 'timestamp', { fraction: 3, defaultValue: { kind: 'current-timestamp' }, onUpdate: true }),
    ],
    {
      primaryKey: ['id'],
      checks: [
        { name: 'c1', expression: "((`n` > 0) and (`s` in (_utf8mb4\\'a\\',_utf8mb4\\'b\\')))" },
        { name: 'c2', expression: 'char_length(`s`) between 1 and 5 or `s` is not null' },
        { name: 'c3', expression: '`n` % 2 = 0' },
        { name: 'c4', expression: 'json_valid(`s`)' },
        { name: 'c5', expression: "`d` >= '2000-01-01'" },
        { name: 'c6', expression: "`s` > 'a'" },
        { name: 'c7', expression: "(`s` in (_utf8mb4\\'Ã\u0080\\',_utf8mb4\\'â\u0082¬\\'))" },
        { name: 'c8', expression: "(`s` <> _latin1\\'é\\')" },
        { name: 'c9', expression: '(`n` between -(5) and 7)' },
        { name: 'zero', expression: "`d` > '0000-00-00'" },
        { name: 'year', expression: "`d` > '2020'" },
        { name: 'never', expression: "`d` <> '2021-02-30'" },
        { name: 'moment', expression: "`ts` < '2024-02-29 23:59:59.5'" },
        { name: 'garbled', expression: "`s` <> '?'" },
      ],
    },
  )
  const objects = objectsOf(table)
  assert.equal(objects.identity, 'id')
  assert.deepEqual(
    [...objects.defaults],
    [
      ['n', '7'],
      ['e', "'a''b'"],
      ['d', "'0001-01-01'"],
      ['u', "'grün'"],
      ['bx', String.raw`E'\\x00ff00'`],
      ['ts', 'CURRENT_TIMESTAMP(3)'],
    ],
  )
  assert.deepEqual(
    objects.checks.map(({ expression }) => expression),
    [
      `"e" IN ('a''b', '')`,
      `((("n" > 0) AND ("s" IN ('a', 'b'))))`,
      `(char_length("s") BETWEEN 1 AND 5 OR "s" IS NOT NULL)`,
      `"d" >= '2000-01-01'`,
      `("s" IN ('À', '€'))`,
      `("n" BETWEEN -5 AND 7)`,
      `"ts" < '2024-02-29 23:59:59.5'`,
    ],
  )
  assert.deepEqual(
    objects.notCarried.map(({ object }) => object),
    [
      'CHECK c3',
      'CHECK c4',
      'CHECK c6',
      'CHECK c8',
      'CHECK zero',
      'CHECK year',
      'CHECK never',
      'CHECK garbled',
      'DEFAULT of column x',
      'DEFAULT of column w',
      'DEFAULT of column g',
      'DEFAULT of column b',
      'ON UPDATE of column ts',
    ],
  )
})

test('edges', () => {
  const parent = testTable('p', [testColumn('id')], { primaryKey: ['id'] })
  const cascade = { onDelete: 'CASCADE' } as const
  const child = testTable('c', [testColumn('id'), testColumn('p_id')], {
    primaryKey: ['id'],
    foreignKeys: [testForeignKey(['P_ID'], 'p', ['ID'], cascade)],
  })
  const other = testTable('o', [testColumn('p_id')], {
    primaryKey: ['p_id'],
    foreignKeys: [testForeignKey(['p_id'], 'p', ['id'])],
  })
  const wrong = testTable('w', [testColumn('e', 'enum', { members: ['a'] })], {
    foreignKeys: [testForeignKey(['e'], 'p', ['id'], cascade)],
  })
  const all = [parent, child, other, wrong]
  const graph = edges(mapTables(all, defaultMappingOptions).mapped, all)
  assert.deepEqual(
    graph.refused.map(({ table }) => table),
    ['w'],
  )
  assert.deepEqual(
    graph.edges.map(({ child: name, action, byKey, overlapping, text }) => [name, action, byKey, overlapping, text]),
    [
      ['c', true, true, false, false],
      ['o', false, true, true, false],
    ],
  )
  const alone = edges(mapTables([child, other], defaultMappingOptions).mapped, all)
  assert.deepEqual(alone.captureOnly, ['p'])
  assert.deepEqual(
    alone.edges.map(({ captureOnlyParent }) => captureOnlyParent),
    [true],
  )
})
