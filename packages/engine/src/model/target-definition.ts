import type { TargetDefinition } from '@mylab-sync/core'
import type { Model } from './model.js'

/** Returns the definition of a table in the target once it is open. Its parts have the order of a first copy. */
export function targetDefinition(model: Model, table: string): TargetDefinition {
  const edges = model.graph.edgesOf(table)
  return {
    table: model.mapping(table),
    objects: model.objects(table),
    foreignKeyColumns: edges.map((edge) => edge.childKey.columns.map(({ column }) => column.source.name)),
    foreignKeys: edges
      .filter((edge) => edge.notCarried === null)
      .map((edge) => ({ edge, parent: { table: model.mapping(edge.parent), objects: model.objects(edge.parent) } })),
  }
}
