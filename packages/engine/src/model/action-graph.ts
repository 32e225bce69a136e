import { batchesOf, type Edge } from '@mylab-sync/core'

const TABLES_PER_GROUP = 100

/**
 * The foreign keys between tables, and what follows from those whose actions change rows without firing a trigger.
 * Edges are looked up by table: a schema has hundreds of them, and drains ask for each of their keys' tables.
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

  /** The foreign keys of a table. */
  edgesOf(child: string): readonly Edge[] {
    return this.#byChild.get(child) ?? []
  }

  edge(child: string, name: string): Edge | undefined {
    return this.edgesOf(child).find((edge) => edge.name === name)
  }

  edgesTo(parent: string): readonly Edge[] {
    return this.#byParent.get(parent) ?? []
  }

  /** Foreign keys that leave or enter a carried table. */
  edgesAt(table: string): Edge[] {
    const entering = this.edgesTo(table).filter((edge) => edge.child !== table && !edge.captureOnlyParent)
    return [...this.edgesOf(table), ...entering]
  }

  actionEdgesFrom(parent: string): readonly Edge[] {
    return this.edgesTo(parent).filter(isAction)
  }

  /** These tables and all that foreign key actions on them reach. */
  withDescendants(tables: Iterable<string>): Set<string> {
    const reached = new Set(tables)
    for (const table of reached) for (const edge of this.actionEdgesFrom(table)) reached.add(edge.child)
    return reached
  }

  /** Carried tables whose rows act on this one: they must be open before it is. */
  actionParents(table: string): string[] {
    const edges = this.edgesOf(table).filter((edge) => isAction(edge) && isCarried(edge) && edge.parent !== table)
    return edges.map((edge) => edge.parent)
  }

  /** Parents whose rows act on this table and are in no table of the target. */
  captureOnlyParents(table: string): string[] {
    return this.edgesOf(table).flatMap((edge) => (isAction(edge) && edge.captureOnlyParent ? [edge.parent] : []))
  }

  /** No foreign key action leads to it from another table, so nothing has to be open before it. */
  hasNoActionParent(table: string): boolean {
    return this.actionParents(table).length === 0
  }

  /** A parent whose rows act on one of these tables is neither among them nor open: they have to wait for it. */
  isBlocked(tables: readonly string[], isOpen: (table: string) => boolean): boolean {
    const among = new Set(tables)
    return tables.some((table) => this.actionParents(table).some((parent) => !among.has(parent) && !isOpen(parent)))
  }

  /** These tables in groups that foreign key actions between carried tables connect. */
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

  /** What opens with one drain: a component, or components of one table each, which a schema may have thousands of. */
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
