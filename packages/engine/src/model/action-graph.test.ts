import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Edge, KeyMapping } from '@mylab-sync/core'
import fc from 'fast-check'
import { ActionGraph } from './action-graph.js'

const TABLES = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
const NO_KEY: KeyMapping = { columns: [], layout: 0, sameOrder: true }

function edgeOf(of: Pick<Edge, 'name' | 'child' | 'parent' | 'action'>): Edge {
  const captureOnlyParent = of.parent === 'outside'
  const rest = { childKey: NO_KEY, parentKey: NO_KEY, byKey: true, overlapping: false, text: false, notCarried: null }
  return { ...of, ...rest, captureOnlyParent }
}

const EDGES = fc
  .array(
    fc.record({
      child: fc.constantFrom(...TABLES),
      parent: fc.constantFrom(...TABLES, 'outside'),
      action: fc.boolean(),
    }),
    { maxLength: 12, size: 'max' },
  )
  .map((list) => list.map((each, at) => edgeOf({ ...each, name: `edge ${at}` })))
const SOME_TABLES = fc.subarray(TABLES)

/** Returns whether one table leads to another in any number of steps. */
function reaches(from: string, to: string, isStep: (from: string, to: string) => boolean): boolean {
  const among = [...TABLES, 'outside']
  let reached = new Set([from])
  for (let left = among.length; left > 0; left--)
    reached = new Set(among.filter((table) => reached.has(table) || [...reached].some((each) => isStep(each, table))))
  return reached.has(to)
}

test('edges are found by their tables as a search of the whole list finds them', () => {
  fc.assert(
    fc.property(EDGES, (edges) => {
      const graph = new ActionGraph(edges)
      for (const table of [...TABLES, 'outside']) {
        const leaving = edges.filter((edge) => edge.child === table)
        const entering = edges.filter((edge) => edge.parent === table)
        assert.deepEqual(graph.edgesOf(table), leaving)
        assert.deepEqual(graph.edgesTo(table), entering)
        assert.deepEqual(
          graph.actionEdgesFrom(table),
          entering.filter(({ action }) => action),
        )
        const carried = edges.filter((edge) => edge.child === table || (edge.parent === table && table !== 'outside'))
        assert.deepEqual(new Set(graph.edgesAt(table)), new Set(carried))
        assert.equal(graph.edgesAt(table).length, carried.length)
        for (const edge of edges) assert.equal(graph.edge(table, edge.name), edge.child === table ? edge : undefined)
      }
    }),
  )
})

test('descendants are what foreign key actions reach, in any number of steps', () => {
  fc.assert(
    fc.property(EDGES, SOME_TABLES, (edges, tables) => {
      const isStep = (from: string, to: string): boolean =>
        edges.some(({ parent, child, action }) => action && parent === from && child === to)
      const reached = TABLES.filter((to) => tables.some((from) => reaches(from, to, isStep)))
      assert.deepEqual([...new ActionGraph(edges).withDescendants(tables)].sort(), reached)
    }),
  )
})

test('a component holds exactly the tables that actions connect inside the set', () => {
  fc.assert(
    fc.property(EDGES, SOME_TABLES, (edges, tables) => {
      const among = new Set(tables)
      const isStep = (one: string, other: string): boolean =>
        among.has(one) &&
        among.has(other) &&
        edges.some(
          ({ parent, child, action }) =>
            action && ((parent === one && child === other) || (parent === other && child === one)),
        )
      const components = new ActionGraph(edges).components(tables)
      assert.deepEqual(components.flat().toSorted(), tables)
      for (const component of components)
        for (const table of component)
          assert.deepEqual(
            component.toSorted(),
            tables.filter((other) => reaches(table, other, isStep)),
          )
    }),
  )
})

test('tables wait for each carried parent that acts on them and is not open', () => {
  fc.assert(
    fc.property(EDGES, SOME_TABLES, SOME_TABLES, (edges, tables, open) => {
      const graph = new ActionGraph(edges)
      const actsOn = (parent: string, table: string): boolean =>
        parent !== table && edges.some((edge) => edge.action && edge.parent === parent && edge.child === table)
      for (const table of TABLES) {
        const parents = TABLES.filter((parent) => actsOn(parent, table))
        assert.deepEqual([...new Set(graph.actionParents(table))].sort(), parents)
        assert.equal(graph.hasNoActionParent(table), parents.length === 0)
        assert.equal(graph.captureOnlyParents(table).length > 0, actsOn('outside', table))
      }
      const missing = TABLES.filter((parent) => !tables.includes(parent) && !open.includes(parent))
      assert.equal(
        graph.isBlocked(tables, (table) => open.includes(table)),
        missing.some((parent) => tables.some((table) => actsOn(parent, table))),
      )
    }),
  )
})

test('lone tables open a hundred at a time, a component by itself', () => {
  const lone = Array.from({ length: 250 }, (_, at) => `lone ${at}`)
  fc.assert(
    fc.property(EDGES, SOME_TABLES, (edges, tables) => {
      const graph = new ActionGraph(edges)
      const components = graph.components([...lone, ...tables])
      const groups = graph.openingGroups(components)
      assert.deepEqual(groups.flat().toSorted(), [...lone, ...tables].toSorted())
      const hasNoActionParent = (table: string): boolean => graph.hasNoActionParent(table)
      for (const group of groups) {
        const isComponent = components.some((component) => component.join() === group.join())
        assert.ok(isComponent || (group.length <= 100 && graph.components(group).length === group.length))
        assert.ok(isComponent || group.every(hasNoActionParent))
      }
      assert.ok(groups.filter((group) => group.every((table) => lone.includes(table))).length <= 3)
    }),
    { numRuns: 10 },
  )
})
