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
    await follow(slice, followedOf(slice, frontier))
  }
}

/** Keys of a parent, and the edges that lead from it to children which are written or wait. */
interface Followed {
  readonly parent: TableMapping
  readonly keys: readonly RowKey[]
  readonly edges: readonly Edge[]
}

function followedOf({ model, open, waiting }: Slice, frontier: ReadonlyMap<string, readonly RowKey[]>): Followed[] {
  return [...frontier].flatMap(([table, keys]) => {
    const edges = model.graph.actionEdgesFrom(table).filter(({ child }) => open.has(child) || waiting.has(child))
    const parent = model.keyed(table)
    if (edges.length === 0 || !parent?.key) return []
    return [...slices(keys, KEYS_PER_QUERY)].map((list): Followed => ({ parent, keys: list, edges }))
  })
}

/** All parents at once: a look-up of each edge in turn costs a schema with many edges a round trip for each. */
async function follow(slice: Slice, followed: readonly Followed[]): Promise<void> {
  const { dirty, open, quarantine } = slice
  // A key that starts a closure does so whether its row is there or not.
  await learnPresence(
    slice,
    followed.map(({ parent, keys }) => ({
      table: parent,
      keys: keys.filter((key) => !dirty.isStart(parent.source.name, key)),
    })),
  )
  const wanted: Referencing[] = []
  for (const { parent, keys, edges } of followed) {
    const table = parent.source.name
    const starts = keys.filter((key) => isStart(slice, table, key))
    for (const edge of edges) {
      const parents = edge.byKey
        ? starts.map((key) => tokensOf(parent, edge, key))
        : [...(await referencedTokens(slice, parent, { edge, keys })), ...quarantine.references(table, edge, keys)]
      wanted.push({ edge, parents, isSearched: (edge.byKey ? starts : keys).length > 0 && open.has(edge.child) })
    }
  }
  await addChildren(slice, wanted)
  for (const { edge, isSearched } of wanted) if (isSearched) await addCollationMismatches(slice, edge)
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
    for (const list of slices(parents, KEYS_PER_QUERY)) await addChildren(slice, [{ edge, parents: list }])
    await addCollationMismatches(slice, edge)
  }
}

/** Values by which children may reference rows that an action may have changed them with. */
interface Referencing {
  readonly edge: Edge
  readonly parents: readonly (readonly string[])[]
  /** Children may also spell these values otherwise. */
  readonly isSearched?: boolean
}

async function addChildren(slice: Slice, wanted: readonly Referencing[]): Promise<void> {
  const { model, snapshot, target, overflow } = slice
  const lookUps = wanted.filter((each) => each.parents.length > 0 && !isNotedAlone(slice, each))
  const ofTarget = lookUps.map(({ edge, parents }) => ({
    child: model.mapping(edge.child),
    edge,
    values: parents.flatMap((tokens) => {
      const texts = targetTexts(edge, tokens)
      return texts ? [texts] : []
    }),
  }))
  for await (const { of, keys } of target.lookup.children(ofTarget))
    await overflow.add(slice, of.edge.child, keys, of.edge.overlapping)
  for (const { edge, parents } of lookUps)
    if (edge.overlapping)
      for await (const keys of snapshot.rows.childKeys(model.mapping(edge.child), edge, parents))
        await overflow.add(slice, edge.child, keys, true)
}

/** Whether the child's table is closed or has no key, so that no single row of it is looked for; notes what to do instead. */
function isNotedAlone({ model, open, parents: closed, dirty }: Slice, { edge, parents }: Referencing): boolean {
  if (!open.has(edge.child)) closed.add(edge, parents)
  else if (model.isFullTable(edge.child)) dirty.add(edge.child, WHOLE_TABLE, false)
  else return false
  return true
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
