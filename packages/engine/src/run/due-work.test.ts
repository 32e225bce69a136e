import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Edge, TableProgress } from '@mylab-sync/core'
import fc from 'fast-check'
import { ActionGraph } from '../model/action-graph.js'
import { dueWork } from './due-work.js'

const TABLES = ['a', 'b', 'c', 'd', 'e']
const LIMITS = { chunksPerTable: 4, chunks: 6 }
const NO_KEY = { columns: [], layout: 0, sameOrder: true }

function actionEdge(parent: string, child: string): Edge {
  const keys = { name: `${parent} ${child}`, childKey: NO_KEY, parentKey: NO_KEY }
  const flags = { action: true, byKey: true, overlapping: false, text: false, captureOnlyParent: false }
  return { ...keys, ...flags, parent, child, notCarried: null }
}

const PROGRESS = fc.record({
  state: fc.constantFrom('copying', 'copying', 'catching-up', 'live', 'recopied', 'suspect', 'paused', 'broken'),
  planned: fc.boolean(),
  chunks: fc.nat(LIMITS.chunksPerTable),
})
const EDGES = fc.array(fc.tuple(fc.constantFrom(...TABLES), fc.constantFrom(...TABLES)), { maxLength: 4 })

test('exactly what the states of a copy allow is due', () => {
  const all = fc.tuple(PROGRESS, PROGRESS, PROGRESS, PROGRESS, PROGRESS)
  fc.assert(
    fc.property(all, EDGES, (progress, pairs) => {
      const known = new Map(TABLES.map((table, at) => [table, { table, ...progress[at] }] as const))
      const stateOf = (table: string): string => known.get(table)?.state ?? ''
      const copied = TABLES.filter((table) => ['copying', 'catching-up'].includes(stateOf(table)))
      const pending = copied.flatMap((table) =>
        Array.from({ length: known.get(table)?.chunks ?? 0 }, (_, chunk) => ({ table, chunk })),
      )
      const states = new Map(
        [...known].map(([table, each]) => [table, each as Partial<TableProgress> as TableProgress]),
      )
      const graph = new ActionGraph(pairs.map(([parent, child]) => actionEdge(parent, child)))
      const due = dueWork(
        { graph, states, copied: copied.flatMap((table) => states.get(table) ?? []), pending },
        LIMITS,
      )
      const isDone = (table: string): boolean =>
        stateOf(table) === 'catching-up' || (known.get(table)?.planned === true && known.get(table)?.chunks === 0)
      const isOpen = (table: string): boolean => ['live', 'recopied'].includes(stateOf(table))
      const isReady = (group: readonly string[]): boolean =>
        group.every(isDone) &&
        pairs.every(([parent, child]) => !group.includes(child) || group.includes(parent) || isOpen(parent))
      assert.deepEqual(
        due.plan,
        copied.filter(
          (table) =>
            stateOf(table) === 'copying' && known.get(table)?.planned === false && (known.get(table)?.chunks ?? 0) <= 2,
        ),
      )
      assert.deepEqual(due.chunks, pending.slice(0, LIMITS.chunks))
      assert.deepEqual(
        due.aside,
        TABLES.filter((table) => stateOf(table) === 'suspect'),
      )
      assert.deepEqual(due.open.flat().toSorted(), graph.components(copied).filter(isReady).flat().toSorted())
    }),
    { numRuns: 500 },
  )
})
