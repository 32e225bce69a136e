import type {
  Edge,
  Refusal,
  SourceCatalog,
  SourceTable,
  TableMapping,
  TableObjects,
  TriggerTarget,
} from '@mylab-sync/core'
import { actionComponents, edges as edgesOf, mapTables, tableObjects, targetName } from '@mylab-sync/mapping'
import type { EngineContext } from './context.js'

/** What the source's definitions make of the selected tables: computed from the catalog, never read from the target. */
export class Model {
  readonly catalog: SourceCatalog
  readonly tables: ReadonlyMap<string, TableMapping>
  readonly refused: readonly Refusal[]
  readonly edges: readonly Edge[]
  readonly #captureOnly: ReadonlyMap<string, TableMapping>
  readonly #objects = new Map<string, TableObjects>()
  readonly #actionEdgesByParent = new Map<string, Edge[]>()

  constructor(catalog: SourceCatalog, context: EngineContext) {
    this.catalog = catalog
    const { include, exclude, mapping } = context.options
    const wanted = catalog.tables.filter((table) => matches(table.name, include) && !matches(table.name, exclude))
    const first = mapTables(wanted, mapping)
    const graph = edgesOf(first.mapped, catalog.tables, mapping)
    const refusedNames = new Set(graph.refused.map((refusal) => refusal.table))
    const tables = new Map([...first.mapped].filter(([name]) => !refusedNames.has(name)))
    const final = refusedNames.size === 0 ? graph : edgesOf(tables, catalog.tables, mapping)
    this.tables = tables
    this.refused = [...first.refused, ...graph.refused, ...(final === graph ? [] : final.refused)]
    this.edges = final.edges
    const parents = catalog.tables.filter((table) => final.captureOnly.includes(table.name))
    this.#captureOnly = mapTables(parents, mapping).mapped
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
    const objects = this.#withFreeNames(tableObjects(mapping, { referencedColumnSets }))
    this.#objects.set(table, objects)
    return objects
  }

  /** Tables and indexes share one set of names in PostgreSQL: `orders` with the index `status` beside a table `orders_status`. */
  #withFreeNames(objects: TableObjects): TableObjects {
    const taken = new Set([...this.tables.values()].map((mapping) => mapping.name))
    const indexes = objects.indexes.map((index) =>
      taken.has(index.name) ? { ...index, name: targetName(`${index.name}_idx`) } : index,
    )
    return { ...objects, indexes }
  }

  /** Groups of tables that open together. */
  components(tables: readonly string[]): string[][] {
    return actionComponents(
      tables,
      this.edges.filter((edge) => !edge.captureOnlyParent),
    )
  }

  select(patterns: readonly string[]): string[] {
    const names = [...this.tables.keys()]
    return patterns.length === 0 ? names : names.filter((name) => matches(name, patterns))
  }
}

export async function loadModel(context: EngineContext): Promise<Model> {
  return new Model(await context.source.catalog(), context)
}

export function isTransactional(table: SourceTable): boolean {
  return table.engine.toLowerCase() === 'innodb'
}

/** Wildcards `*` and `?`, everything else literally; case counts. */
export function matches(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    const source = pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')
    return new RegExp(`^${source}$`, 's').test(name)
  })
}
