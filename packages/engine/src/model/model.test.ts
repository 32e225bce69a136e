import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ReferentialAction, SourceColumn, SourceForeignKey, SourceTable } from '@mylab-sync/core'
import { sourceColumn, sourceTable } from '@mylab-sync/core/testing'
import { defaultMappingOptions } from '@mylab-sync/mapping'
import { Model } from './model.js'

const GRAPHS = 3_000

function integer(name: string, nullable: boolean): SourceColumn {
  return sourceColumn(name, 'int', { nullable })
}

function foreignKey(name: string, parent: string, onDelete: ReferentialAction, parentDatabase: string | null = null) {
  return {
    name,
    columns: [name],
    parentDatabase,
    parent,
    parentColumns: ['id'],
    onDelete,
    onUpdate: 'RESTRICT',
  } as const
}

function table(name: string, foreignKeys: readonly SourceForeignKey[], more: Partial<SourceTable> = {}): SourceTable {
  const columns = [integer('id', false), ...foreignKeys.map((key) => integer(key.name, true))]
  return sourceTable(name, columns, { primaryKey: ['id'], foreignKeys, ...more })
}

function modelOf(tables: readonly SourceTable[], exclude: readonly string[]): Model {
  const catalog = { vendor: 'mariadb', version: '10.11', database: 'd', tables, olderPackage: [] } as const
  const options = {
    include: ['*'],
    exclude,
    mapping: defaultMappingOptions,
    batchRows: null,
    copyConcurrency: 1,
    memoryMb: 256,
    schemaChanges: 'apply' as const,
    verify: { share: 0, repair: 'report' as const },
  }
  return new Model({ fingerprints: new Map(), catalog }, { options }, null)
}

/** Returns a generator of pseudo-random numbers, with 31 bits of state, that a seed reproduces. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >> 8) % below
  }
}

/** Makes tables with random foreign keys; some are excluded, unreadable, keyless, or have a parent in another database. */
function randomTables(seed: number): { readonly tables: SourceTable[]; readonly exclude: string[] } {
  const next = numbers(seed)
  const names = Array.from({ length: 2 + next(9) }, (_, at) => `t${at}`)
  const actions = ['CASCADE', 'SET NULL', 'RESTRICT'] as const
  const tables = names.map((name) => {
    const keys = Array.from({ length: next(3) }, (_, at) =>
      foreignKey(
        `${name}_${at}`,
        names[next(names.length)] ?? name,
        actions[next(3)] ?? 'CASCADE',
        next(25) === 0 ? 'elsewhere' : null,
      ),
    )
    const fault = next(15) === 0 ? { reason: 'the source cannot read it: 1030', remedy: 'mend it' } : null
    return table(name, keys, { fault, ...(next(15) === 0 ? { primaryKey: null } : {}) })
  })
  return { tables, exclude: names.filter(() => next(6) === 0) }
}

test('every selected table is carried or refused; none carried follows a refused one', () => {
  for (let seed = 1; seed <= GRAPHS; seed++) {
    const { tables, exclude } = randomTables(seed)
    const model = modelOf(tables, exclude)
    const refused = new Set(model.refused.map((refusal) => refusal.table))
    for (const { name, foreignKeys } of tables) {
      const places = [model.tables.has(name), refused.has(name), model.isCaptureOnly(name)].filter(Boolean)
      const at = `graph ${seed}, table ${name}`
      assert.ok(places.length <= 1, at)
      assert.equal(model.tables.has(name) || refused.has(name), !exclude.includes(name), at)
      if (!model.tables.has(name)) continue
      for (const { onDelete, parent } of foreignKeys.filter((key) => key.onDelete !== 'RESTRICT'))
        assert.ok(model.tables.has(parent) || model.isCaptureOnly(parent), `${at}: ${onDelete} from ${parent}`)
    }
    assert.deepEqual(
      model.graph.edges.filter(({ child }) => !model.tables.has(child)),
      [],
      `graph ${seed}`,
    )
  }
})

test('a chain of any length is refused from the first table with an uncarried parent', () => {
  const names = Array.from({ length: 12 }, (_, at) => `t${at}`)
  const chain = names.map((name, at) =>
    table(name, at === 0 ? [] : [foreignKey(`${name}_parent`, names[at - 1] ?? '', 'CASCADE')]),
  )
  const model = modelOf(chain, ['t1'])
  assert.deepEqual([...model.tables.keys()], ['t0'])
  assert.deepEqual(model.refused.map((refusal) => refusal.table).sort(), names.slice(2).sort())
})
