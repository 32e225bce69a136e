import type { ActingKey, CutoverTable } from '@mylab-sync/core'
import type { Model } from '../model/model.js'
import { edgeOf } from '../report/not-carried.js'

/** The carried tables with the foreign keys that the target has, each with its actions at the source. */
export function cutoverTables(model: Model): CutoverTable[] {
  return [...model.tables.keys()].map((table) => ({
    table: model.mapping(table),
    objects: model.objects(table),
    foreignKeys: actingKeys(model, table),
  }))
}

function actingKeys(model: Model, table: string): ActingKey[] {
  const { source } = model.mapping(table)
  return source.foreignKeys.flatMap((key): ActingKey[] => {
    const edge = key.parentDatabase === null ? edgeOf(model, source, key) : undefined
    if (edge === undefined || edge.notCarried !== null || edge.captureOnlyParent) return []
    return [
      {
        edge,
        child: model.mapping(table),
        parent: model.mapping(edge.parent),
        onDelete: key.onDelete,
        onUpdate: key.onUpdate,
      },
    ]
  })
}
