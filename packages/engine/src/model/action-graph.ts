import { batchesOf, type Edge } from '@mylab-sync/core'

const TABLES_PER_GROUP = 100

/**
 * The foreign keys between tables, and the consequences of those whose actions change rows without firing a trigger.
 * Indexes edges by table: a schema has hundreds of them, and drains look them up for the table of every key.
 */
export class ActionGraph {
  readonly edges: readonly Edge[]
  readonly #byChild: ReadonlyMap<string, readonly Edge[]>
  readonly #byParent: ReadonlyMap<string, readonly Edge[]>

  constructor(edges: readonly Edge[]) {
    this.edges = edges
    this.#byChild = grouped(edges, 'child')
    this.#byParent = grouped(edges, 'parent')
  }

  /** Returns the foreign keys of a table. */
  edgesOf(child: string): readonly Edge[] {
    return this.#byChild.get(child) ?? []
  }

  edge(child: string, name: string): Edge | undefined {
    return this.edgesOf(child).find((edge) => edge.name === name)
  }

  edgesTo(parent: string): readonly Edge[] {
    return this.#byParent.get(parent) ?? []
  }

  /** Returns the foreign keys that leave or enter a carried table. */
  edgesAt(table: string): Edge[] {
    const entering = this.edgesTo(table).filter((edge) => edge.child !== table && !edge.captureOnlyParent)
    return [...this.edgesOf(table), ...entering]
  }

  actionEdgesFrom(parent: string): readonly Edge[] {
    return this.edgesTo(parent).filter(isAction)
  }

  /** Returns these tables and all tables that foreign key actions on them reach. */
  withDescendants(tables: Iterable<string>): Set<string> {
    const reached = new Set(tables)
    for (const table of reached) for (const edge of this.actionEdgesFrom(table)) reached.add(edge.child)
    return reached
  }

  /** Returns the carried parents whose rows act on this table: they must open before it, or together with it. */
  actionParents(table: string): string[] {
    const edges = this.edgesOf(table).filter((edge) => isAction(edge) && isCarried(edge) && edge.parent !== table)
    return edges.map((edge) => edge.parent)
  }

  /** Returns true if foreign key actions may change the keys of this table's rows. */
  movesKeysOf(table: string): boolean {
    return this.edgesOf(table).some((edge) => isAction(edge) && edge.overlapping)
  }

  /** Returns the parents whose rows act on this table, but have no table in the target. */
  captureOnlyParents(table: string): string[] {
    return this.edgesOf(table).flatMap((edge) => (isAction(edge) && edge.captureOnlyParent ? [edge.parent] : []))
  }

  /** No foreign key action of another carried table reaches this one, so no other table has to be open before it. */
  hasNoActionParent(table: string): boolean {
    return this.actionParents(table).length === 0
  }

  /** Returns true if an action parent of one of these tables is neither among them nor open, so they must wait for it. */
  isBlocked(tables: readonly string[], isOpen: (table: string) => boolean): boolean {
    const among = new Set(tables)
    return tables.some((table) => this.actionParents(table).some((parent) => !among.has(parent) && !isOpen(parent)))
  }

  /** Splits these tables into the groups that foreign key actions between carried tables connect. */
  components(tables: readonly string[]): string[][] {
    const left = new Set(tables)
    return tables.flatMap((table) => {
      if (!left.delete(table)) return []
      const group = [table]
      for (const member of group)
        for (const neighbour of this.#actionNeighbours(member)) if (left.delete(neighbour)) group.push(neighbour)
      return [group]
    })
  }

  #actionNeighbours(table: string): string[] {
    const children = this.actionEdgesFrom(table).filter(isCarried)
    return [...this.actionParents(table), ...children.map((edge) => edge.child)]
  }

  /**
   * Groups components for opening with one drain each: a component alone, or up to 100 tables without action parents,
   * since a schema may have thousands of these.
   */
  openingGroups(components: readonly (readonly string[])[]): (readonly string[])[] {
    const isAlone = ([table = '', ...others]: readonly string[]): boolean =>
      others.length === 0 && this.hasNoActionParent(table)
    const alone = components.filter(isAlone).flat()
    return [...batchesOf(alone, TABLES_PER_GROUP), ...components.filter((component) => !isAlone(component))]
  }
}

function grouped(edges: readonly Edge[], by: 'child' | 'parent'): Map<string, Edge[]> {
  const groups = new Map<string, Edge[]>()
  for (const edge of edges) {
    const group = groups.get(edge[by])
    if (group) group.push(edge)
    else groups.set(edge[by], [edge])
  }
  return groups
}

function isAction(edge: Edge): boolean {
  return edge.action
}

function isCarried(edge: Edge): boolean {
  return !edge.captureOnlyParent
}
