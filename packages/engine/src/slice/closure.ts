import {
  type Edge,
  type ParkedParent,
  type RowKey,
  type SourceSnapshot,
  type TableMapping,
  type TargetTransaction,
  ValueRefused,
} from '@mylab-sync/core'
import type { ProtocolRules } from '../context.js'
import { type DirtyKeys, slices } from './dirty-keys.js'
import { findKeys, requireAbsent } from '../rows/look-ups.js'
import type { Model } from '../model/model.js'
import type { Quarantine } from '../rows/quarantine.js'
import { tokensOfValues } from '../rows/reference-tokens.js'

export const KEYS_A_LIST = 1000

/** What one slice of a drain or of a catch-up reads and writes with. */
export interface Slice {
  readonly model: Model
  readonly snapshot: SourceSnapshot
  readonly target: TargetTransaction
  readonly rules: ProtocolRules
  /** Tables whose rows are written; the closure ends at all others. */
  readonly open: ReadonlySet<string>
  /** Closed tables that will open: what may have changed their rows is kept for that day. */
  readonly waiting: ReadonlySet<string>
  readonly parents: ParkedParents
  readonly dirty: DirtyKeys
  readonly quarantine: Quarantine
  readonly overflow: Overflow
  /** Text edges whose misspelt children were looked for already: once a slice, before its writes. */
  readonly searched: Set<Edge>
}

/**
 * A row may have millions of children. Beyond what a slice may hold, those that the closure finds are parked under the
 * drain's number, and later slices of the same drain take them, as they take entries: in any order, and before its commit.
 */
export class Overflow {
  readonly #drain: number
  readonly #mostKeys: number
  #isUsed = false

  constructor(drain: number, mostKeys: number) {
    this.#drain = drain
    this.#mostKeys = mostKeys
  }

  get isUsed(): boolean {
    return this.#isUsed
  }

  async add({ dirty, target }: Slice, table: string, keys: readonly RowKey[], start: boolean): Promise<void> {
    const isFull = dirty.size >= this.#mostKeys
    const fresh = isFull ? keys.filter((key) => !dirty.has(table, key)) : []
    // A key that this drain has read already stays in memory, so that rows which act on each other in a circle come to an end.
    const seen = fresh.length > 0 ? await target.history.recordedKeys(this.#drain, table, fresh) : new Set<RowKey>()
    const later = new Set(fresh.filter((key) => !seen.has(key)))
    for (const key of keys) if (!later.has(key)) dirty.add(table, key, start)
    if (later.size === 0) return
    this.#isUsed = true
    await target.parked.park([...later].map((key) => ({ table, key, drain: this.#drain, start })))
  }
}

/** References to rows of parents whose children's tables are not open. */
export class ParkedParents {
  readonly #edges = new Map<Edge, Map<string, readonly string[]>>()

  add(edge: Edge, parents: readonly (readonly string[])[]): void {
    let known = this.#edges.get(edge)
    if (!known) this.#edges.set(edge, (known = new Map()))
    // tokens hold no comma
    for (const tokens of parents) known.set(tokens.join(','), tokens)
  }

  all(drain: number): ParkedParent[] {
    return [...this.#edges].flatMap(([edge, parents]) =>
      [...parents.values()].map((tokens) => ({ child: edge.child, edge: edge.name, tokens, drain })),
    )
  }
}

/**
 * Adds to the dirty keys what foreign key actions may have changed without firing a trigger (DESIGN 3.4, closure).
 * Start keys are, of a parent of action edges, every dirty key with an entry other than a plain update, or absent in
 * the snapshot; where other columns than the key are referenced, every dirty key. Runs before the slice's writes,
 * since it follows the references that the target holds from the snapshot before.
 */
export async function addClosure(slice: Slice): Promise<void> {
  if (!slice.rules.closure) return
  for (;;) {
    const frontier = slice.dirty.takeUnexamined()
    if (frontier.size === 0) return
    for (const [table, keys] of frontier) {
      const edges = slice.model
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
  for (const keys of slices(from.keys, KEYS_A_LIST)) {
    await learnPresence(slice, parent, keys)
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
    for (const edge of searching) if (slice.open.has(edge.child)) await addMisspelt(slice, edge)
  }
}

function isStart({ dirty, model, rules }: Slice, table: string, key: RowKey): boolean {
  if (dirty.isStart(table, key) || model.isCaptureOnly(table)) return true
  return rules.absentIsStart && dirty.presence(table, key) === false
}

/** Asks the snapshot once which of these keys it holds, byte for byte. */
export async function learnPresence(slice: Slice, table: TableMapping, keys: readonly RowKey[]): Promise<void> {
  const name = table.source.name
  if (slice.model.isCaptureOnly(name)) return
  const unknown = keys.filter((key) => slice.dirty.presence(name, key) === undefined)
  if (unknown.length === 0) return
  const found = await findKeys(slice.snapshot, table, unknown)
  await requireAbsent(
    slice.snapshot,
    table,
    unknown.filter((key) => !found.has(key) && slice.dirty.isExpected(name, key)),
  )
  for (const key of unknown) slice.dirty.setPresence(name, key, found.has(key))
}

function tokensOf(parent: TableMapping, edge: Edge, key: RowKey): string[] {
  const tokens = key.split(',')
  return edge.parentKey.columns.map(({ column }) => {
    const at = parent.key?.columns.findIndex((k) => k.column.source.name === column.source.name) ?? -1
    return tokens[at] ?? ''
  })
}

/** Referenced values other than the key: as the target holds them, and as the snapshot does. */
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
  const now = await slice.snapshot.readColumns(
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

/** As a closure would for start keys that were consumed while the children's table was not open. */
export async function addParked(slice: Slice, parked: readonly ParkedParent[]): Promise<void> {
  const byEdge = new Map<Edge, (readonly string[])[]>()
  for (const { child, edge: name, tokens } of parked) {
    const edge = slice.model.edge(child, name)
    if (!edge) continue
    const parents = byEdge.get(edge)
    if (parents) parents.push(tokens)
    else byEdge.set(edge, [tokens])
  }
  for (const [edge, parents] of byEdge) {
    for (const list of slices(parents, KEYS_A_LIST)) await addChildren(slice, edge, list)
    await addMisspelt(slice, edge)
  }
}

async function addChildren(slice: Slice, edge: Edge, parents: readonly (readonly string[])[]): Promise<void> {
  if (parents.length === 0) return
  if (!slice.open.has(edge.child)) return slice.parents.add(edge, parents)
  const child = slice.model.mapping(edge.child)
  if (slice.model.isWhole(edge.child)) {
    slice.dirty.add(edge.child, '', false)
    return
  }
  const values = parents.flatMap((tokens) => {
    const texts = targetTexts(edge, tokens)
    return texts ? [texts] : []
  })
  const add = (keys: readonly RowKey[]): Promise<void> => slice.overflow.add(slice, edge.child, keys, edge.overlapping)
  for await (const keys of slice.target.lookup.children(child, edge, values)) await add(keys)
  if (!edge.overlapping) return
  for await (const keys of slice.snapshot.childKeys(child, edge, parents)) await add(keys)
}

/** Null where a value cannot stand in the target: no child there holds it. */
function targetTexts(edge: Edge, tokens: readonly string[]): string[] | null {
  try {
    return edge.parentKey.columns.map((column, at) => column.toTarget(tokens[at] ?? ''))
  } catch (error) {
    if (error instanceof ValueRefused) return null
    throw error
  }
}

/**
 * A child may reference its parent under another spelling (case, accent, trailing space) unless a validated foreign key
 * in the target proves otherwise. Then every child that matches no parent byte for byte is read again.
 */
async function addMisspelt(slice: Slice, edge: Edge): Promise<void> {
  if (!edge.text || edge.captureOnlyParent || slice.searched.has(edge) || slice.model.isWhole(edge.child)) return
  slice.searched.add(edge)
  if ((await slice.target.lookup.validatedKeys()).has(edge.name)) return
  const { model, target } = slice
  for await (const keys of target.lookup.orphans(model.mapping(edge.child), model.mapping(edge.parent), edge))
    await slice.overflow.add(slice, edge.child, keys, edge.overlapping)
}
