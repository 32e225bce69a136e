import { createHash } from 'node:crypto'
import type {
  SourceTableName,
  TargetTableName,
  IndexPlan,
  Refusal,
  SourceCatalog,
  SourceDefinitions,
  SourceTable,
  TableFingerprint,
  TableMapping,
  TableObjects,
  TriggerTarget,
} from '@mylab-sync/core'
import {
  type EdgeGraph,
  edges as edgesOf,
  mapTables,
  type MappingOptions,
  RelationNames,
  tableObjects,
} from '@mylab-sync/mapping'
import type { EngineContext } from '../context.js'
import { ActionGraph } from './action-graph.js'
import { filterOf, selectionOf } from './selection.js'

/** The mapping of the carried tables, computed from the source's definitions, never read from the target. */
export class Model {
  readonly catalog: SourceCatalog
  readonly tables: ReadonlyMap<string, TableMapping>
  readonly refused: readonly Refusal[]
  readonly graph: ActionGraph
  readonly #captureOnly: ReadonlyMap<string, TableMapping>
  readonly #objects = new Map<string, TableObjects>()
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
    this.#isSelected = selectionOf(context.options)
    const wanted = catalog.tables.filter(
      ({ name }) => this.#isSelected(name) && (carried === null || carried.has(name)),
    )
    this.#wanted = new Set(wanted.map((table) => table.name))
    const first = mapTables(wanted, mapping)
    const { tables, graph, refused } = withoutRefused(first.mapped, catalog.tables, mapping)
    this.tables = tables
    this.refused = [...first.refused, ...refused]
    this.graph = new ActionGraph(graph.edges)
    const parents = catalog.tables.filter((table) => graph.captureOnly.includes(table.name))
    // Maps each parent alone, as its edges do: two parents may share a name in the target, where neither has a table.
    this.#captureOnly = new Map(parents.flatMap((parent) => [...mapTables([parent], mapping).mapped]))
  }

  /** Throws if `table` is not mapped, which is a defect: callers take names from the model. */
  mapping(table: SourceTableName): TableMapping {
    const mapping = this.tables.get(table)
    if (!mapping) throw new Error(`table ${table} is not mapped`)
    return mapping
  }

  /** Parents of the model's tables that get triggers, but no table in the target. */
  get captureOnly(): readonly string[] {
    return [...this.#captureOnly.keys()]
  }

  isCaptureOnly(table: SourceTableName): boolean {
    return this.#captureOnly.has(table)
  }

  /** Returns the mapping whose key a table's change entries use. Includes capture-only parents. */
  keyed(table: SourceTableName): TableMapping | undefined {
    return this.tables.get(table) ?? this.#captureOnly.get(table)
  }

  /** The table is carried as a whole: it has no row-level key, or triggers of its engine could lose or break a statement. */
  isFullTable(table: SourceTableName): boolean {
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

  objects(table: SourceTableName): TableObjects {
    const known = this.#objects.get(table)
    if (known) return known
    const mapping = this.mapping(table)
    const referencedColumnSets = this.graph
      .edgesTo(table)
      .map((edge) => edge.parentKey.columns.map((column) => column.column.source.name))
    const objects = this.#relationNames.freed(table, tableObjects(mapping, { referencedColumnSets }))
    this.#objects.set(table, objects)
    return objects
  }

  /** Identifies all that a table's target rows depend on: its fingerprint at the source and the mapping of its columns. */
  generation(table: SourceTableName): string {
    return this.#generationOf(table, this.#fingerprints.get(table)?.values)
  }

  /** Rows of this generation are still valid: it equals the model's, or only changes that touch no value came after it. */
  isCurrent(table: SourceTableName, generation: string): boolean {
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

  /** The table's rows follow the definition that the model was read with. */
  isOf(table: SourceTableName, now: TableFingerprint | undefined): boolean {
    return this.#fingerprints.get(table)?.values === now?.values
  }

  /** As `isOf`, or only changes that touch no value have come since. */
  stillDescribes(table: SourceTableName, now: TableFingerprint | undefined): boolean {
    const read = this.#fingerprints.get(table)?.values
    return this.isOf(table, now) || (read !== undefined && (now?.formerly ?? []).includes(read))
  }

  /** Drops views from `now`: a view has a fingerprint too, and may have replaced a table of the same name. */
  tablesOf(now: ReadonlyMap<string, TableFingerprint>): ReadonlyMap<string, TableFingerprint> {
    const isView = ([name, fingerprint]: readonly [string, TableFingerprint]): boolean =>
      this.isOf(name, fingerprint) && !this.#names.has(name)
    return new Map([...now].filter((entry) => !isView(entry)))
  }

  /**
   * The model covers exactly those of the `carried` tables that exist and are selected, and the definitions of its tables
   * have not changed since it was read.
   */
  fits(now: ReadonlyMap<string, TableFingerprint>, carried: readonly string[]): boolean {
    const known = carried.filter((table) => now.has(table) && this.#isSelected(table))
    if (known.length !== this.#wanted.size || !known.every((table) => this.#wanted.has(table))) return false
    return [...this.#wanted, ...this.#captureOnly.keys()].every(
      (table) => now.get(table)?.definition === this.#fingerprints.get(table)?.definition,
    )
  }

  /** Returns the names of the indexes, CHECKs and foreign keys planned for a table of the target. */
  constraintNames(table: SourceTableName): string[] {
    const { indexes, checks } = this.objects(table)
    const foreignKeys = this.graph.edgesOf(table).filter((edge) => edge.notCarried === null)
    return [...indexes, ...checks, ...foreignKeys].map(({ name }) => name)
  }

  /** Takes the target's names of the table and the constraint. */
  plansConstraint(table: TargetTableName, constraint: string): boolean {
    const names = [...this.tables].filter(([, mapping]) => mapping.name === table).map(([name]) => name)
    return names.some((name) => this.constraintNames(name).includes(constraint))
  }

  /** Returns the UNIQUE indexes of a table that PostgreSQL cannot defer to the end of a transaction. */
  immediateUniques(table: SourceTableName): IndexPlan[] {
    return this.objects(table).indexes.filter((index) => index.unique && !index.deferrable)
  }

  refusal(table: SourceTableName): Refusal | undefined {
    return this.refused.find((refusal) => refusal.table === table)
  }

  select(patterns: readonly string[]): string[] {
    return [...this.tables.keys()].filter(filterOf(patterns))
  }
}

/**
 * Removes tables that a foreign key refuses. A refused table is no longer a parent, so its children are judged again until
 * none is refused: a table both carried and refused would alternate between set aside and copied forever.
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

export function isTransactional(table: SourceTable): boolean {
  return table.engine.toLowerCase() === 'innodb'
}
