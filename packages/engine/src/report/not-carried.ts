import type { Edge, NotCarried, NotCarriedKind, OtherObjects, SourceForeignKey, SourceTable } from '@mylab-sync/core'
import { leftBehind } from '@mylab-sync/mapping'
import type { EngineContext } from '../context.js'
import { wholeModel } from '../model/load.js'
import type { Model } from '../model/model.js'

/** An object of a table that the target never gets, as its definition shows. */
export interface TableNotCarried extends NotCarried {
  readonly table: string
}

export interface KindCount {
  readonly kind: NotCarriedKind
  readonly count: number
  readonly tables: number
  /** null: the objects have several reasons. */
  readonly reason: string | null
}

export interface NotCarriedReport {
  readonly tables: readonly TableNotCarried[]
  readonly others: OtherObjects
}

/** Lists the objects of the selected tables and of their database that are not carried. Reads the source's catalog. */
export async function listNotCarried(
  context: Pick<EngineContext, 'source' | 'target' | 'options'>,
): Promise<NotCarriedReport> {
  const model = await wholeModel(context)
  const leftOut = await leftOutIndexes(context)
  const others = await context.source.catalog.otherObjects()
  const tables = [...model.tables.keys()].flatMap((table) =>
    [...notCarriedOf(model, table, others), ...(leftOut.get(model.mapping(table).name) ?? [])].map((left) => ({
      table,
      ...left,
    })),
  )
  return { tables, others }
}

/** Returns left-out indexes by the names of tables in the target. They are known only once the target holds rows. */
async function leftOutIndexes({ target }: Pick<EngineContext, 'target'>): Promise<ReadonlyMap<string, NotCarried[]>> {
  const leftOut = new Map<string, NotCarried[]>()
  if (!(await target.admin.migrated())) return leftOut
  for (const { table, name } of await target.constraints.leftOutIndexes()) {
    const list = leftOut.get(table) ?? []
    leftOut.set(table, [...list, { kind: 'index', object: `INDEX ${name}`, reason: TOO_LONG }])
  }
  return leftOut
}

const TOO_LONG = 'a value is longer than the 2,704 bytes that a PostgreSQL index entry can hold'

export function notCarriedOf(model: Model, table: string, { partitionedTables }: OtherObjects): NotCarried[] {
  const { source } = model.mapping(table)
  return [
    ...model.objects(table).notCarried,
    ...source.foreignKeys.flatMap((key) => foreignKey(model, source, key)),
    ...leftBehind(source),
    ...(partitionedTables.includes(table) ? [PARTITIONS] : []),
  ]
}

const PARTITIONS: NotCarried = {
  kind: 'partitions',
  object: 'PARTITIONS',
  reason: 'its rows are carried into one table',
}

function foreignKey(model: Model, source: SourceTable, key: SourceForeignKey): NotCarried[] {
  const reason = whyNoForeignKey(edgeOf(model, source, key), key)
  return reason === null ? [] : [{ kind: 'foreign-key', object: `FOREIGN KEY ${key.name}`, reason }]
}

/** Returns the edge of a foreign key of a carried table, if it has one. */
export function edgeOf(model: Model, { name }: SourceTable, key: SourceForeignKey): Edge | undefined {
  const folded = (columns: readonly string[]): string => columns.map((column) => column.toLowerCase()).join()
  return model.graph.edges.find(
    (edge) =>
      edge.child === name &&
      edge.parent.toLowerCase() === key.parent.toLowerCase() &&
      folded(edge.childKey.columns.map(({ column }) => column.source.name)) === folded(key.columns),
  )
}

/** Returns why the target does not get the foreign key; null if it does. */
export function whyNoForeignKey(edge: Edge | undefined, { parentDatabase }: SourceForeignKey): string | null {
  if (parentDatabase !== null) return `its parent is in database ${parentDatabase}`
  if (edge === undefined) return 'its parent is not carried, or its columns have types that do not compare'
  return edge.notCarried
}

/** Counts objects by kind, sorted by the kinds' names. */
export function countKinds(all: readonly TableNotCarried[]): KindCount[] {
  const byKind = new Map<NotCarriedKind, TableNotCarried[]>()
  for (const left of all) {
    const others = byKind.get(left.kind)
    if (others === undefined) byKind.set(left.kind, [left])
    else others.push(left)
  }
  return [...byKind]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, items]) => {
      const reasons = new Set(items.map(({ reason }) => reason))
      const [only = null] = reasons.size === 1 ? reasons : []
      return { kind, count: items.length, tables: new Set(items.map(({ table }) => table)).size, reason: only }
    })
}
