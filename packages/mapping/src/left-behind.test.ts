import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testColumn, testForeignKey, testTable } from './fixtures.js'
import { leftBehind } from './left-behind.js'

test('actions, expressions, history and case-insensitive text are listed if present', () => {
  const plain = testTable('plain', [
    testColumn('id'),
    testColumn('b', 'varchar', { collation: 'utf8mb4_bin' }),
    testColumn('c', 'varchar', { collation: 'utf8mb4_0900_as_cs' }),
    testColumn('j', 'longtext', { json: true }),
  ])
  assert.deepEqual(leftBehind({ ...plain, foreignKeys: [testForeignKey(['id'], 'p', ['id'])] }), [])
  const rich = testTable(
    'rich',
    [
      testColumn('id'),
      testColumn('sum', 'int', { generated: 'virtual', expression: '`id` + 1' }),
      testColumn('name', 'varchar'),
      testColumn('state', 'enum', { collation: 'latin1_swedish_ci', members: ['a'] }),
      testColumn('note', 'text'),
    ],
    {
      systemVersioned: true,
      foreignKeys: [
        testForeignKey(['id'], 'p', ['id'], { onDelete: 'CASCADE', onUpdate: 'SET NULL' }),
        testForeignKey(['sum'], 'p', ['id'], { onUpdate: 'CASCADE' }),
      ],
    },
  )
  assert.deepEqual(
    leftBehind(rich).map(({ kind, object }) => `${kind}: ${object}`),
    [
      'foreign-key-action: ON DELETE CASCADE ON UPDATE SET NULL of FOREIGN KEY fk_id',
      'foreign-key-action: ON UPDATE CASCADE of FOREIGN KEY fk_sum',
      'generated-expression: expression of VIRTUAL column sum',
      'history: SYSTEM VERSIONING',
      'case-insensitive-text: utf8mb4_general_ci of columns name, note',
      'case-insensitive-text: latin1_swedish_ci of column state',
    ],
  )
})
