import assert from 'node:assert/strict'
import { test } from 'node:test'
import type {
  ChangeEntry,
  Edge,
  RawRow,
  ReferentialAction,
  RowKey,
  RowLookup,
  SnapshotRows,
  SourceSnapshot,
  SourceTable,
  TableMapping,
  TargetTransaction,
} from '@mylab-sync/core'
import { sourceColumn, sourceTable } from '@mylab-sync/core/testing'
import { defaultMappingOptions } from '@mylab-sync/mapping'
import fc from 'fast-check'
import type { EngineContext } from '../context.js'
import { Model } from '../model/model.js'
import { Quarantine } from '../rows/quarantine.js'
import { addClosure } from './closure.js'
import { DirtyKeys, dirtyKeysOf } from './dirty-keys.js'
import { Overflow, ParkedParents, type Slice } from './slice.js'

/** Columns of a foreign key, the parent with its columns, and what deleting and updating the parent does. */
type Reference = readonly [string[], string, string[], ReferentialAction, ReferentialAction]

interface Spec {
  readonly columns: readonly string[]
  readonly key: readonly string[]
  readonly unique?: string
  readonly references?: readonly Reference[]
}
type Schema = Readonly<Record<string, Spec>>

const SCHEMAS: Readonly<Record<string, Schema>> = {
  'a chain by keys': {
    p: { columns: ['id', 'v'], key: ['id'] },
    c: { columns: ['id', 'p'], key: ['id'], references: [[['p'], 'p', ['id'], 'CASCADE', 'CASCADE']] },
    g: { columns: ['id', 'c'], key: ['id'], references: [[['c'], 'c', ['id'], 'CASCADE', 'CASCADE']] },
    h: { columns: ['id', 'g'], key: ['id'], references: [[['g'], 'g', ['id'], 'SET NULL', 'SET NULL']] },
  },
  'references outside the key': {
    p: { columns: ['id', 'code'], key: ['id'], unique: 'code' },
    c: { columns: ['id', 'code'], key: ['id'], unique: 'code', references: [[['code'], 'p', ['code'], 'CASCADE', 'CASCADE']] },
    g: { columns: ['id', 'code'], key: ['id'], references: [[['code'], 'c', ['code'], 'SET NULL', 'CASCADE']] },
  },
  'keys that are references': {
    p: { columns: ['id', 'v'], key: ['id'] },
    c: { columns: ['id', 'v'], key: ['id'], references: [[['id'], 'p', ['id'], 'CASCADE', 'CASCADE']] },
    g: { columns: ['id', 'c'], key: ['id'], references: [[['c'], 'c', ['id'], 'CASCADE', 'CASCADE']] },
  },
  'keys referencing non-keys': {
    p: { columns: ['id', 'code'], key: ['id'], unique: 'code' },
    c: { columns: ['code', 'v'], key: ['code'], references: [[['code'], 'p', ['code'], 'CASCADE', 'CASCADE']] },
    g: { columns: ['id', 'c'], key: ['id'], references: [[['c'], 'c', ['code'], 'CASCADE', 'CASCADE']] },
  },
  'keys of several columns': {
    p: { columns: ['a', 'b', 'v'], key: ['a', 'b'] },
    c: { columns: ['a', 'b', 'n'], key: ['a', 'b', 'n'], references: [[['a', 'b'], 'p', ['a', 'b'], 'CASCADE', 'CASCADE']] },
    g: { columns: ['id', 'a', 'b', 'n'], key: ['id'], references: [[['a', 'b', 'n'], 'c', ['a', 'b', 'n'], 'CASCADE', 'CASCADE']] },
  },
  'two parents and a tree': {
    p: { columns: ['id', 'v'], key: ['id'] },
    q: { columns: ['id', 'v'], key: ['id'] },
    c: { columns: ['id', 'p', 'q'], key: ['id'], references: [[['p'], 'p', ['id'], 'SET NULL', 'CASCADE'], [['q'], 'q', ['id'], 'CASCADE', 'SET NULL']] },
    t: { columns: ['id', 'up', 'c'], key: ['id'], references: [[['up'], 't', ['id'], 'CASCADE', 'RESTRICT'], [['c'], 'c', ['id'], 'CASCADE', 'CASCADE']] },
  },
  'a circle': {
    p: { columns: ['id', 'c'], key: ['id'], references: [[['c'], 'c', ['id'], 'CASCADE', 'SET NULL']] },
    c: { columns: ['id', 'p'], key: ['id'], references: [[['p'], 'p', ['id'], 'CASCADE', 'CASCADE']] },
  },
} // biome-ignore format: one table a line

type Row = Record<string, number | null>
type Values = readonly (number | null)[]

interface Statement {
  readonly kind: 'insert' | 'update' | 'delete'
  readonly table: number
  readonly row: number
  readonly column: number
  readonly values: Values
}

const VALUE = fc.integer({ min: 1, max: 4 })
const STATEMENT: fc.Arbitrary<Statement> = fc.record({
  kind: fc.constantFrom('insert', 'update', 'update', 'delete'),
  table: fc.nat(3),
  row: fc.nat(7),
  column: fc.nat(3),
  values: fc.array(fc.oneof({ weight: 5, arbitrary: VALUE }, fc.constant(null)), { minLength: 4, maxLength: 4 }),
})
const FILL = fc.array(STATEMENT.map((statement): Statement => ({ ...statement, kind: 'insert' })), { minLength: 12, maxLength: 24, size: 'max' }) // biome-ignore format: one line
const CHANGES = fc.array(STATEMENT, { minLength: 1, maxLength: 6, size: 'max' })

/** Enough that each rule left out is seen: most runs cascade. */
const RUNS = 100

class Refused extends Error {}

/** A source with foreign key actions, which change rows and log nothing. */
class Database {
  readonly schema: Schema
  tables: Record<string, Row[]>

  constructor(schema: Schema, tables?: Record<string, Row[]>) {
    this.schema = schema
    this.tables = copied(tables ?? Object.fromEntries(Object.keys(schema).map((table) => [table, []])))
  }

  rows(table: string): Row[] {
    return this.tables[table] ?? []
  }

  find(table: string, key: RowKey): Row | undefined {
    return this.rows(table).find((row) => this.keyOf(table, row) === key)
  }

  keyOf(table: string, row: Row): RowKey {
    return valuesOf(row, this.schema[table]?.key ?? []).join(',')
  }

  /** What the triggers log of a statement; nothing where a constraint refuses it. */
  run({ kind, table: at, row: which, column, values }: Statement): Omit<ChangeEntry, 'id' | 'layout'>[] {
    const names = Object.keys(this.schema)
    const table = names[at % names.length] ?? ''
    const columns = this.schema[table]?.columns ?? []
    const rows = this.rows(table)
    if (kind !== 'insert' && rows.length === 0) return []
    const row = rows.at(kind === 'insert' ? rows.length : which % rows.length) ?? rowOf(columns, values)
    const oldKey = this.keyOf(table, row)
    const patch = rowOf(columns.slice(column % columns.length).slice(0, 1), values)
    if (!this.#isDone(kind, { table, row, patch })) return []
    const rowKey = this.keyOf(table, row)
    const operation = ({ insert: 'INSERT', update: 'UPDATE', delete: 'DELETE' } as const)[kind]
    return [{ table, operation, rowKey, oldKey: kind === 'update' && rowKey !== oldKey ? oldKey : null }]
  }

  #isDone(kind: Statement['kind'], { table, row, patch }: { table: string; row: Row; patch: Row }): boolean {
    const before = copied(this.tables)
    try {
      if (kind === 'insert') this.rows(table).push(row)
      if (kind === 'delete') this.#remove(table, row)
      if (kind === 'update') this.#change(table, row, patch)
      this.#check()
      return true
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      this.tables = before
      return false
    }
  }

  references(parent: string): { child: string; reference: Reference }[] {
    return Object.entries(this.schema).flatMap(([child, { references = [] }]) =>
      references.filter(([, to]) => to === parent).map((reference) => ({ child, reference })),
    )
  }

  #remove(table: string, row: Row): void {
    this.tables[table] = this.rows(table).filter((each) => each !== row)
    for (const { child, reference } of this.references(table)) {
      const [columns, , parentColumns, onDelete] = reference
      for (const each of matching(this.rows(child), columns, valuesOf(row, parentColumns)))
        if (onDelete === 'CASCADE') this.#remove(child, each)
        else this.#act(child, each, { columns, action: onDelete, values: [] })
    }
  }

  #change(table: string, row: Row, patch: Row): void {
    const before = { ...row }
    Object.assign(row, patch)
    for (const { child, reference } of this.references(table)) {
      const [columns, , parentColumns, , action] = reference
      const values = valuesOf(row, parentColumns)
      if (same(values, valuesOf(before, parentColumns))) continue
      for (const each of matching(this.rows(child), columns, valuesOf(before, parentColumns)))
        this.#act(child, each, { columns, action, values })
    }
  }

  #act(child: string, row: Row, by: { columns: string[]; action: ReferentialAction; values: Values }): void {
    if (by.action === 'RESTRICT') throw new Refused()
    const values = by.action === 'SET NULL' ? by.columns.map(() => null) : by.values
    this.#change(child, row, rowOf(by.columns, values))
  }

  #check(): void {
    for (const [table, { key, unique, references = [] }] of Object.entries(this.schema)) {
      const rows = this.rows(table)
      if (rows.some((row) => valuesOf(row, key).includes(null))) throw new Refused()
      if (new Set(rows.map((row) => this.keyOf(table, row))).size < rows.length) throw new Refused()
      const taken = rows.flatMap((row) => (unique === undefined ? [] : (row[unique] ?? [])))
      if (new Set(taken).size < taken.length) throw new Refused()
      for (const [columns, parent, parentColumns] of references)
        for (const values of rows.map((row) => valuesOf(row, columns)))
          if (!values.includes(null) && matching(this.rows(parent), parentColumns, values).length === 0)
            throw new Refused()
    }
  }
}

function copied(tables: Record<string, Row[]>): Record<string, Row[]> {
  return Object.fromEntries(Object.entries(tables).map(([table, rows]) => [table, rows.map((row) => ({ ...row }))]))
}

function rowOf(columns: readonly string[], values: Values): Row {
  return Object.fromEntries(columns.map((column, at) => [column, values[at] ?? null]))
}

function valuesOf(row: Row, columns: readonly string[]): Values {
  return columns.map((column) => row[column] ?? null)
}

function same(a: Values, b: Values): boolean {
  return a.join() === b.join()
}

function matching(rows: readonly Row[], columns: readonly string[], values: Values): Row[] {
  return values.includes(null) ? [] : rows.filter((row) => same(valuesOf(row, columns), values))
}

function tableOf(name: string, { columns, key, unique, references = [] }: Spec): SourceTable {
  const parts = unique === undefined ? [] : [{ column: unique, prefix: null, descending: false }]
  const foreignKeys = references.map(([own, parent, parentColumns, onDelete, onUpdate], at) => ({
    name: `${name}_${at}`,
    columns: own,
    parentDatabase: null,
    parent,
    parentColumns,
    onDelete,
    onUpdate,
  }))
  return sourceTable(
    name,
    columns.map((of) => sourceColumn(of, 'int', { nullable: !key.includes(of) })),
    {
      primaryKey: key,
      foreignKeys,
      indexes: parts.length === 0 ? [] : [{ name: 'u', unique: true, visible: true, kind: 'btree', parts }],
    },
  )
}

function modelOf(schema: Schema): Model {
  const tables = Object.entries(schema).map(([name, spec]) => tableOf(name, spec))
  const catalog = { vendor: 'mariadb', version: '10.11', database: 'd', tables, olderPackage: [] } as const
  const options = { include: ['*'], exclude: [], mapping: defaultMappingOptions, batchRows: null }
  const context = {
    options: {
      ...options,
      copyConcurrency: 1,
      memoryMb: 256,
      schemaChanges: 'apply' as const,
      verify: { share: 0, repair: 'report' as const },
    },
  }
  return new Model({ fingerprints: new Map(), catalog }, context, null)
}

function columnsOf(of: Edge['parentKey']): string[] {
  return of.columns.map(({ column }) => column.source.name)
}

/** Keys of the children that reference one of these lists of values. */
function childrenIn(database: Database, edge: Edge, lists: readonly (readonly string[])[]): RowKey[] {
  const rows = lists.flatMap((values) =>
    matching(database.rows(edge.child), columnsOf(edge.childKey), values.map(Number)),
  )
  return [...new Set(rows)].map((row) => database.keyOf(edge.child, row))
}

/** The reading parts of both ports: the target as the last drain left it, the source as the snapshot shows it. */
function portsOf(before: Database, after: Database): Pick<Slice, 'target' | 'snapshot'> {
  const lookup: Pick<RowLookup, 'children' | 'referenced'> = {
    async *children(wanted) {
      for (const of of wanted) yield { of, keys: childrenIn(before, of.edge, of.values) }
    },
    referenced: async (parent, edge, keys) =>
      keys
        .map((key) => before.find(parent.source.name, key))
        .filter((row) => row !== undefined)
        .map((row) => valuesOf(row, columnsOf(edge.parentKey)))
        .filter((values) => !values.includes(null))
        .map((values) => values.map(String)),
  }
  const readColumns = async ({ source: { name } }: TableMapping, keys: readonly RowKey[], columns: readonly string[]) =>
    keys.flatMap((key): RawRow[] => {
      const row = after.find(name, key)
      const bytes = (value: number | null): Buffer | null => (value === null ? null : Buffer.from(String(value)))
      return row ? [{ key, values: valuesOf(row, columns).map(bytes) }] : []
    })
  const rows: Pick<SnapshotRows, 'readColumns' | 'heldKeys' | 'childKeys' | 'findAgain'> = {
    readColumns,
    heldKeys: async (wanted) =>
      Promise.all(wanted.map(async ({ table, keys }) => (await readColumns(table, keys, [])).map(({ key }) => key))),
    async *childKeys(_, edge, parents) {
      yield childrenIn(after, edge, parents)
    },
    findAgain: async (table, keys) => (await readColumns(table, keys, [])).map(({ key }) => key),
  }
  return { target: { lookup } as TargetTransaction, snapshot: { rows } as SourceSnapshot }
}

async function closed(model: Model, of: { before: Database; after: Database }, dirty: DirtyKeys): Promise<void> {
  const slice: Slice = {
    ...portsOf(of.before, of.after),
    context: {} as EngineContext,
    model,
    dirty,
    waiting: new Set(),
    open: new Set(model.tables.keys()),
    quarantine: new Quarantine([]),
    searched: new Set(),
    parents: new ParkedParents(),
    overflow: new Overflow(1, Infinity),
  }
  await addClosure(slice)
}

/** Rows by which both databases differ. */
function changedRows(before: Database, after: Database): string[] {
  const changed: string[] = []
  for (const table of Object.keys(before.schema)) {
    const keys = new Set([...before.rows(table), ...after.rows(table)].map((row) => before.keyOf(table, row)))
    for (const key of keys)
      if (JSON.stringify(before.find(table, key)) !== JSON.stringify(after.find(table, key)))
        changed.push(`${table} ${key}`)
  }
  return changed
}

/**
 * What cascades can have reached by the definition: children, in the target, of each row that was inserted or deleted or
 * got another key, or that the source lacks; of each dirty row where other columns than its key are referenced; and in the
 * source too where the reference is part of what the child itself is referenced by.
 */
function reachable(before: Database, after: Database, dirty: DirtyKeys): Set<string> {
  const found = new Map([...dirty.keys()].map(({ table, key, start }) => [`${table} ${key}`, { table, key, start }]))
  for (let size = -1; size !== found.size + starts(found); ) {
    size = found.size + starts(found)
    for (const { table, key, start } of found.values())
      for (const { child, reference } of before.references(table)) {
        const isByKey = reference[2].every((column) => before.schema[table]?.key.includes(column))
        if (isByKey && !start && after.find(table, key)) continue
        const isOverlapping = overlaps(before, child, reference)
        for (const row of childrenOf({ before, after }, { table, key, child, reference, isOverlapping })) {
          const at = `${child} ${row}`
          const known = found.get(at)
          found.set(at, { table: child, key: row, start: isOverlapping || (known?.start ?? false) })
        }
      }
  }
  return new Set(found.keys())
}

function starts(found: ReadonlyMap<string, { readonly start: boolean }>): number {
  return [...found.values()].filter(({ start }) => start).length
}

function overlaps(database: Database, child: string, reference: Reference): boolean {
  const isKey = reference[0].some((column) => database.schema[child]?.key.includes(column))
  const referenced = database.references(child).filter((each) => each.reference !== reference)
  return isKey || referenced.some((each) => each.reference[2].some((column) => reference[0].includes(column)))
}

function childrenOf(
  { before, after }: { readonly before: Database; readonly after: Database },
  of: { table: string; key: RowKey; child: string; reference: Reference; isOverlapping: boolean },
): RowKey[] {
  const [columns, , parentColumns] = of.reference
  const { key: names = [] } = before.schema[of.table] ?? {}
  const named = rowOf(names, of.key.split(',').map(Number))
  const rows = [before.find(of.table, of.key), after.find(of.table, of.key), named].filter((row) => row !== undefined)
  const values = rows.map((row) => valuesOf(row, parentColumns)).filter((each) => each.every((value) => value !== null))
  return values.flatMap((each) =>
    (of.isOverlapping ? [before, after] : [before]).flatMap((database) =>
      matching(database.rows(of.child), columns, each).map((row) => database.keyOf(of.child, row)),
    ),
  )
}

for (const [what, schema] of Object.entries(SCHEMAS))
  test(`the closure is all that cascades can have reached: ${what}`, async () => {
    const model = modelOf(schema)
    assert.deepEqual(model.refused, [])
    await fc.assert(
      fc.asyncProperty(FILL, CHANGES, async (fill, changes) => {
        const before = new Database(schema)
        for (const statement of fill) before.run(statement)
        const after = new Database(schema, before.tables)
        const dirty = new DirtyKeys()
        for (const statement of changes)
          for (const entry of after.run(statement))
            for (const { key, start, isThere } of dirtyKeysOf({ ...entry, id: 1n, layout: 0 })) {
              dirty.add(entry.table, key, start)
              dirty.expect(entry.table, key, isThere)
            }
        const expected = reachable(before, after, dirty)
        await closed(model, { before, after }, dirty)
        const found = new Set([...dirty.keys()].map(({ table, key }) => `${table} ${key}`))
        assert.deepEqual(
          changedRows(before, after).filter((row) => !found.has(row)),
          [],
        )
        assert.deepEqual([...found].sort(), [...expected].sort())
      }),
      { numRuns: RUNS },
    )
  })
