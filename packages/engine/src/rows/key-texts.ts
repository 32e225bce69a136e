import { type RowKey, WHOLE_TABLE } from '@mylab-sync/core'
import { keyText } from '@mylab-sync/mapping'
import type { Model } from '../model/model.js'

/** The text of each key column, as the source shows it; empty for the key of a table without one. */
export function keyTexts(model: Model, table: string, key: RowKey): string[] {
  const columns = model.keyed(table)?.key?.columns ?? []
  if (key === WHOLE_TABLE && columns.length === 0) return []
  return key.split(',').map((token, at) => {
    const column = columns[at]
    return column ? keyText(column, token) : token
  })
}
