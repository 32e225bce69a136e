import {
  type Edge,
  type ParkedParent,
  type RowKey,
  type TableMapping,
  ValueRefused,
  WHOLE_TABLE,
} from '@mylab-sync/core'
import { tokensOfValues } from '../rows/reference-tokens.js'
import { slices } from './dirty-keys.js'
import { learnPresence } from './presence.js'
import type { Slice } from './slice.js'

export const KEYS_PER_QUERY = 1000

/**
 * Adds the rows that foreign key actions may have changed without firing a trigger (DESIGN 3.4, closure). Start keys of a
 * parent of action edges are the dirty keys that have an entry other than a plain update or are absent from the snapshot;
 * if columns other than the key are referenced, all dirty keys. Must run before the slice's writes: it follows references
 * as the target holds them from the previous snapshot.
 */
export async function addClosure(slice: Slice): Promise<void> {
  for (;;) {
    const frontier = slice.dirty.takeUnexamined()
    if (frontier.size === 0) return
    for (const [table, keys] of frontier) {
      const edges = slice.model.graph
        .actionEdgesFrom(table)
        .filter(({ child }) => slice.open.has(child) || slice.waiting.has(child))
      if (edges.length > 0) await follow(slice, table, { keys, edges })
    }
  }
}

async function follow(slice: Slice, table: string, from: { keys: readonly RowKey[]; edges: readonly Edge[] }) {
  const parent = slice.model.keyed(table)
  if (!parent?.key) return
  const byKey = from.edges.filter((edge) => edge.byKey)
  const byOther = from.edges.filter((edge) => !edge.byKey)
  for (const keys of slices(from.keys, KEYS_PER_QUERY)) {
    // A key that starts a closure does so whether its row is there or not.
    await learnPresence(slice, [{ table: parent, keys: keys.filter((key) => !slice.dirty.isStart(table, key)) }])
    const starts = keys.filter((key) => isStart(slice, table, key))
    for (const edge of byKey)
      await addChildren(
        slice,
        edge,
        starts.map((key) => tokensOf(parent, edge, key)),
      )
    for (const edge of byOther) {
      const tokens = await referencedTokens(slice, parent, { edge, keys })
      tokens.push(...slice.quarantine.references(table, edge, keys))
      await addChildren(slice, edge, tokens)
    }
    const searching = from.edges.filter((edge) => (edge.byKey ? starts.length > 0 : keys.length > 0))
    for (const edge of searching) if (slice.open.has(edge.child)) await addCollationMismatches(slice, edge)
  }
}

function isStart({ dirty, model }: Slice, table: string, key: RowKey): boolean {
  if (dirty.isStart(table, key) || model.isCaptureOnly(table)) return true
  return dirty.presence(table, key) === false
}

function tokensOf(parent: TableMapping, edge: Edge, key: RowKey): string[] {
  const tokens = key.split(',')
  return edge.parentKey.columns.map(({ column }) => {
    const at = parent.key?.columns.findIndex((k) => k.column.source.name === column.source.name) ?? -1
    return tokens[at] ?? ''
  })
}

/** Referenced values other than the key, as the target and as the snapshot hold them. */
async function referencedTokens(
  slice: Slice,
  parent: TableMapping,
  of: { edge: Edge; keys: readonly RowKey[] },
): Promise<(readonly string[])[]> {
  const columns = of.edge.parentKey.columns
  const held = await slice.target.lookup.referenced(parent, of.edge, of.keys)
  const tokens: (readonly string[])[] = held.map((values) =>
    columns.map((column, at) => column.fromTarget(values[at] ?? '')),
  )
  const now = await slice.snapshot.rows.readColumns(
    parent,
    of.keys,
    columns.map(({ column }) => column.source.name),
  )
  for (const row of now) {
    const referenced = tokensOfValues(of.edge, (_, at) => row.values[at] ?? null)
    if (referenced) tokens.push(referenced)
  }
  return tokens
}

/** Follows references that were parked while the children's table was not open, as the closure would have. */
export async function addParkedParents(slice: Slice, parked: readonly ParkedParent[]): Promise<void> {
  const byEdge = new Map<Edge, (readonly string[])[]>()
  for (const { child, edge: name, tokens } of parked) {
    const edge = slice.model.graph.edge(child, name)
    if (!edge) continue
    const parents = byEdge.get(edge)
    if (parents) parents.push(tokens)
    else byEdge.set(edge, [tokens])
  }
  for (const [edge, parents] of byEdge) {
    for (const list of slices(parents, KEYS_PER_QUERY)) await addChildren(slice, edge, list)
    await addCollationMismatches(slice, edge)
  }
}

async function addChildren(slice: Slice, edge: Edge, parents: readonly (readonly string[])[]): Promise<void> {
  if (parents.length === 0) return
  if (!slice.open.has(edge.child)) return slice.parents.add(edge, parents)
  const child = slice.model.mapping(edge.child)
  if (slice.model.isFullTable(edge.child)) {
    slice.dirty.add(edge.child, WHOLE_TABLE, false)
    return
  }
  const values = parents.flatMap((tokens) => {
    const texts = targetTexts(edge, tokens)
    return texts ? [texts] : []
  })
  const add = (keys: readonly RowKey[]): Promise<void> => slice.overflow.add(slice, edge.child, keys, edge.overlapping)
  for await (const keys of slice.target.lookup.children(child, edge, values)) await add(keys)
  if (!edge.overlapping) return
  for await (const keys of slice.snapshot.rows.childKeys(child, edge, parents)) await add(keys)
}

/** Returns null if the target cannot hold one of the values: then no child there references it. */
function targetTexts(edge: Edge, tokens: readonly string[]): string[] | null {
  try {
    return edge.parentKey.columns.map((column, at) => column.toTarget(tokens[at] ?? ''))
  } catch (error) {
    if (error instanceof ValueRefused) return null
    throw error
  }
}

/**
 * Adds every child that matches no parent byte for byte. A collation lets a child spell its parent differently (case,
 * accent, trailing space); only a validated foreign key in the target rules that out.
 */
async function addCollationMismatches(slice: Slice, edge: Edge): Promise<void> {
  if (!edge.text || edge.captureOnlyParent || slice.searched.has(edge) || slice.model.isFullTable(edge.child)) return
  slice.searched.add(edge)
  if ((await slice.target.lookup.validatedKeys()).has(edge.name)) return
  const { model, target } = slice
  for await (const keys of target.lookup.orphans(model.mapping(edge.child), model.mapping(edge.parent), edge))
    await slice.overflow.add(slice, edge.child, keys, edge.overlapping)
}
