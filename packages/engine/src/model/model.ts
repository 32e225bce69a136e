import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import {
  batchesOf,
  type Edge,
  type IndexPlan,
  isKept,
  isOfPattern,
  signsOf,
  MANY,
  ONE,
  type Refusal,
  type SourceCatalog,
  type SourceDefinitions,
  type SourceTable,
  SyncError,
  type TableFingerprint,
  type TableMapping,
  type TableObjects,
  type TriggerTarget,
} from '@mylab-sync/core'
import {
  actionComponents,
  type EdgeGraph,
  edges as edgesOf,
  mapTables,
  type MappingOptions,
  RelationNames,
  tableObjects,
} from '@mylab-sync/mapping'
import type { EngineContext } from '../context.js'
import { readTarget } from '../transactions.js'

const TABLES_A_GROUP = 100

/** What the source's definitions make of the carried tables: computed from the catalog, never read from the target. */
export class Model {
  readonly catalog: SourceCatalog
  readonly tables: ReadonlyMap<string, TableMapping>
  readonly refused: readonly Refusal[]
  readonly edges: readonly Edge[]
  readonly #captureOnly: ReadonlyMap<string, TableMapping>
  readonly #objects = new Map<string, TableObjects>()
  readonly #actionEdgesByParent = new Map<string, Edge[]>()
  readonly #fingerprints: ReadonlyMap<string, TableFingerprint>
  readonly #names: ReadonlySet<string>
  readonly #wanted: ReadonlySet<string>
  readonly #definitions = new Map<string, string>()
  readonly #isSelected: (table: string) => boolean
  readonly #relationNames: RelationNames

  constructor(read: SourceDefinitions, context: Pick<EngineContext, 'options'>, carried: ReadonlySet<string> | null) {
    const { catalog, fingerprints } = read
    this.catalog = catalog
    this.#names = new Set(catalog.tables.map((table) => table.name))
    this.#fingerprints = fingerprints
    const { mapping } = context.options
    this.#relationNames = new RelationNames(catalog.tables, mapping)
    this.#isSelected = (table) => isSelected(table, context.options)
    const wanted = catalog.tables.filter(
      ({ name }) => this.#isSelected(name) && (carried === null || carried.has(name)),
    )
    this.#wanted = new Set(wanted.map((table) => table.name))
    const first = mapTables(wanted, mapping)
    const { tables, graph, refused } = withoutRefused(first.mapped, catalog.tables, mapping)
    this.tables = tables
    this.refused = [...first.refused, ...refused]
    this.edges = graph.edges
    const parents = catalog.tables.filter((table) => graph.captureOnly.includes(table.name))
    // Each alone, as its edges have mapped it: two parents may have one name in the target, where neither has a table.
    this.#captureOnly = new Map(parents.flatMap((parent) => [...mapTables([parent], mapping).mapped]))
    for (const edge of this.edges) {
      if (!edge.action) continue
      const list = this.#actionEdgesByParent.get(edge.parent)
      if (list) list.push(edge)
      else this.#actionEdgesByParent.set(edge.parent, [edge])
    }
  }

  /** Throws where `table` is not mapped: the caller took its name from the model. */
  mapping(table: string): TableMapping {
    const mapping = this.tables.get(table)
    if (!mapping) throw new Error(`table ${table} is not mapped`)
    return mapping
  }

  /** Parents of tables of the model that get triggers and no table in the target. */
  get captureOnly(): readonly string[] {
    return [...this.#captureOnly.keys()]
  }

  isCaptureOnly(table: string): boolean {
    return this.#captureOnly.has(table)
  }

  /** The key by which a table's change entries are written, capture-only parents included. */
  keyed(table: string): TableMapping | undefined {
    return this.tables.get(table) ?? this.#captureOnly.get(table)
  }

  actionEdgesFrom(parent: string): readonly Edge[] {
    return this.#actionEdgesByParent.get(parent) ?? []
  }

  /** Carried as a whole: no row-level key, or an engine whose triggers could lose or break a statement. */
  isWhole(table: string): boolean {
    const mapping = this.mapping(table)
    return mapping.key === null || !isTransactional(mapping.source)
  }

  triggerTargets(tables: ReadonlySet<string>): TriggerTarget[] {
    const keyed = [...this.tables.values(), ...this.#captureOnly.values()]
    return keyed
      .filter((mapping) => isTransactional(mapping.source))
      .filter((mapping) => tables.has(mapping.source.name) || this.#captureOnly.has(mapping.source.name))
      .map((mapping) => ({ table: mapping.source.name, key: mapping.key }))
  }

  objects(table: string): TableObjects {
    const known = this.#objects.get(table)
    if (known) return known
    const mapping = this.mapping(table)
    const referencedColumnSets = this.edges
      .filter((edge) => edge.parent === table)
      .map((edge) => edge.parentKey.columns.map((column) => column.column.source.name))
    const objects = this.#relationNames.freed(table, tableObjects(mapping, { referencedColumnSets }))
    this.#objects.set(table, objects)
    return objects
  }

  /** What the target's rows of a table depend on: its fingerprint at the source, and how its columns are mapped. */
  generation(table: string): string {
    return this.#generationOf(table, this.#fingerprints.get(table)?.values)
  }

  /** A table of this generation holds what it is to hold: it is the model's, or one before changes that touch no value. */
  isCurrent(table: string, generation: string): boolean {
    if (generation === this.generation(table)) return true
    const former = this.#fingerprints.get(table)?.formerly ?? []
    return former.some((values) => this.#generationOf(table, values) === generation)
  }

  #generationOf(table: string, values = ''): string {
    let definition = this.#definitions.get(table)
    if (definition === undefined) {
      const { columns, key } = this.mapping(table)
      const facts = [
        key?.layout ?? null,
        ...columns.map((c) => [
          c.source.name,
          c.name,
          c.type,
          c.read,
          c.notNull,
          ...(c.standIn === null ? [] : [c.standIn]),
        ]),
      ]
      definition = createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16)
      this.#definitions.set(table, definition)
    }
    return `${values}.${definition}`
  }

  /** The table's rows are those of the definition that the model was read with. */
  isOf(table: string, now: TableFingerprint | undefined): boolean {
    return this.#fingerprints.get(table)?.values === now?.values
  }

  /** Names of the source that are tables: a view has one, too, and can stand where a table was. */
  tablesOf(now: ReadonlyMap<string, TableFingerprint>): ReadonlyMap<string, TableFingerprint> {
    const isView = ([name, fingerprint]: readonly [string, TableFingerprint]): boolean =>
      this.isOf(name, fingerprint) && !this.#names.has(name)
    return new Map([...now].filter((entry) => !isView(entry)))
  }

  /** The model is of exactly those of these tables that are selected, and their definitions have not changed since it was read. */
  fits(now: ReadonlyMap<string, TableFingerprint>, carried: readonly string[]): boolean {
    const known = carried.filter((table) => now.has(table) && this.#isSelected(table))
    if (known.length !== this.#wanted.size || !known.every((table) => this.#wanted.has(table))) return false
    return [...this.#wanted, ...this.#captureOnly.keys()].every(
      (table) => now.get(table)?.definition === this.#fingerprints.get(table)?.definition,
    )
  }

  /** These tables and all that foreign key actions on them reach. */
  withDescendants(tables: Iterable<string>): Set<string> {
    const reached = new Set(tables)
    for (const table of reached) for (const edge of this.actionEdgesFrom(table)) reached.add(edge.child)
    return reached
  }

  /** Parents that must be open before this table is: those that are carried themselves. */
  actionParents(table: string): string[] {
    const edges = this.edges.filter((e) => e.action && e.child === table && e.parent !== table && !e.captureOnlyParent)
    return edges.map((edge) => edge.parent)
  }

  /** Parents whose rows act on this table and are in no table of the target. */
  captureOnlyParents(table: string): string[] {
    return this.edges.filter((e) => e.action && e.captureOnlyParent && e.child === table).map((edge) => edge.parent)
  }

  /** A parent whose rows act on one of these tables is neither among them nor open: they have to wait for it. */
  isBlocked(tables: readonly string[], isOpen: (table: string) => boolean): boolean {
    const parents = tables.flatMap((table) => this.actionParents(table))
    return parents.some((parent) => !tables.includes(parent) && !isOpen(parent))
  }

  /** Names of the UNIQUEs, CHECKs and foreign keys that a table of the target is to have. */
  constraintNames(table: string): string[] {
    const { indexes, checks } = this.objects(table)
    const foreignKeys = this.edges.filter((edge) => edge.child === table && edge.notCarried === null)
    return [...indexes, ...checks, ...foreignKeys].map(({ name }) => name)
  }

  /** By the names of the target. */
  plansConstraint(table: string, constraint: string): boolean {
    const names = [...this.tables].filter(([, mapping]) => mapping.name === table).map(([name]) => name)
    return names.some((name) => this.constraintNames(name).includes(constraint))
  }

  /** UNIQUEs of a table that cannot wait for the end of a transaction. */
  immediateUniques(table: string): IndexPlan[] {
    return this.objects(table).indexes.filter((index) => index.unique && !index.deferrable)
  }

  /** Foreign keys that leave or enter a table. */
  edgesAt(table: string): Edge[] {
    return this.edges.filter((edge) => edge.child === table || (edge.parent === table && !edge.captureOnlyParent))
  }

  edge(child: string, name: string): Edge | undefined {
    return this.edges.find((edge) => edge.child === child && edge.name === name)
  }

  refusal(table: string): Refusal | undefined {
    return this.refused.find((refusal) => refusal.table === table)
  }

  /** Groups of tables that open together. */
  components(tables: readonly string[]): string[][] {
    return actionComponents(
      tables,
      this.edges.filter((edge) => !edge.captureOnlyParent),
    )
  }

  /** No foreign key action leads to it from another table, so nothing has to be open before it. */
  isLone(table: string): boolean {
    return this.actionParents(table).length === 0
  }

  /** What opens with one drain: a component, or components of one table each, which a schema may have thousands of. */
  openingGroups(components: readonly (readonly string[])[]): (readonly string[])[] {
    const isAlone = ([table = '', ...others]: readonly string[]): boolean => others.length === 0 && this.isLone(table)
    const alone = components.filter(isAlone).flat()
    return [...batchesOf(alone, TABLES_A_GROUP), ...components.filter((component) => !isAlone(component))]
  }

  select(patterns: readonly string[]): string[] {
    const names = [...this.tables.keys()]
    return patterns.length === 0 ? names : names.filter((name) => matches(name, patterns))
  }
}

/**
 * A table that a foreign key refuses is no parent any more, so its own children are judged again, until none is refused: a
 * table that stayed both carried and refused was set aside and copied by turns for ever.
 */
function withoutRefused(
  mapped: ReadonlyMap<string, TableMapping>,
  all: readonly SourceTable[],
  options: MappingOptions,
): { readonly tables: Map<string, TableMapping>; readonly graph: EdgeGraph; readonly refused: readonly Refusal[] } {
  const tables = new Map(mapped)
  const refused: Refusal[] = []
  for (;;) {
    const graph = edgesOf(tables, all, options)
    if (graph.refused.length === 0) return { tables, graph, refused }
    refused.push(...graph.refused)
    for (const { table } of graph.refused) tables.delete(table)
  }
}

/** No snapshot covers definitions: one that changes between two queries shows its columns in one and its keys in another. */
async function modelOf(
  context: Pick<EngineContext, 'source' | 'options'>,
  read: SourceDefinitions,
  carried: ReadonlySet<string> | null,
): Promise<Model> {
  try {
    return keptModel(read, context, carried)
  } catch (error) {
    if (error instanceof SyncError || isDeepStrictEqual(await context.source.catalog.fingerprints(), read.fingerprints))
      throw error
    throw new SyncError('generation-changed', 'definitions of the source changed while they were read', {
      cause: error,
    })
  }
}

interface KeptModel {
  readonly options: EngineContext['options']
  readonly carried: string | null
  readonly model: Model
}

/** The latest model of definitions that were handed out before: a schema of 400 wide tables takes 40 MB. */
const keptModels = new WeakMap<SourceDefinitions, KeptModel>()

function keptModel(
  read: SourceDefinitions,
  context: Pick<EngineContext, 'options'>,
  carried: ReadonlySet<string> | null,
): Model {
  const { options } = context
  const names = carried === null ? null : JSON.stringify([...carried].sort())
  const kept = keptModels.get(read)
  if (kept?.options === options && kept.carried === names) return kept.model
  const model = new Model(read, context, carried)
  keptModels.set(read, { options, carried: names, model })
  return model
}

/** The model of all selected tables; the target is not asked. With `tryTables`, those that the source cannot read are refused. */
export async function wholeModel(
  context: Pick<EngineContext, 'source' | 'options'>,
  options: { readonly tryTables: boolean } = { tryTables: false },
): Promise<Model> {
  return modelOf(context, await context.source.catalog.definitions(options), null)
}

/** The model of the tables that the target carries. */
export async function loadModel(context: EngineContext): Promise<Model> {
  const carried = await carriedTables(context)
  return told(context, await modelOf(context, await context.source.catalog.definitions(), new Set(carried)))
}

/** The target has to know which tables are the source's. */
function told({ target }: EngineContext, model: Model): Model {
  target.tables.carries([...model.tables.values()])
  return model
}

/** As loadModel, with the tables that are about to be carried, and without those that the source cannot read; empty patterns: all. */
export async function modelWith(context: EngineContext, patterns: readonly string[]): Promise<Model> {
  if (patterns.length === 0) return told(context, await wholeModel(context, { tryTables: true }))
  const definitions = await context.source.catalog.definitions({ tryTables: true })
  const named = definitions.catalog.tables.filter((table) => matches(table.name, patterns)).map((table) => table.name)
  const carried = (await context.target.admin.migrated()) ? await carriedTables(context) : []
  return told(context, await modelOf(context, definitions, new Set([...carried, ...named])))
}

async function carriedTables(context: EngineContext): Promise<string[]> {
  const progress = await readTarget(context, (target) => target.tables.all())
  return [...progress.values()].filter(isKept).map((p) => p.table)
}

export function isTransactional(table: SourceTable): boolean {
  return table.engine.toLowerCase() === 'innodb'
}

/** By the configuration's filters. */
export function isSelected(table: string, { include, exclude }: EngineContext['options']): boolean {
  return matches(table, include) && !matches(table, exclude)
}

/** Wildcards `*` and `?`, everything else literally; case counts. */
export function matches(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    isOfPattern(
      name,
      signsOf(pattern).map((sign) => WILDCARDS[sign] ?? sign),
    ),
  )
}

const WILDCARDS: Readonly<Record<string, symbol>> = { '*': MANY, '?': ONE }
