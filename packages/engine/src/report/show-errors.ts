import { type ColumnMapping, type RawRow, type RowKey, type SourceSnapshot, type TableMapping } from '@mylab-sync/core'
import { isUtf8 } from 'node:buffer'
import type { EngineContext } from '../context.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { keyTexts } from '../rows/key-texts.js'
import { readTarget } from '../transactions.js'

export interface ErrorsRequest {
  /** Name patterns; empty: all. */
  readonly tables: readonly string[]
  readonly limit: number
  /** Includes errors that are no longer quarantined. */
  readonly history: boolean
  /** Includes the rows' values, which may be confidential. */
  readonly values?: boolean
}

export interface ShownError {
  readonly table: string
  /** Text of each key column, in the source's format. */
  readonly key: readonly string[]
  readonly operation: string
  readonly attempts: number
  readonly code: string
  readonly message: string
  readonly at: string
  /** The source's current values by column; null: the source has no such row. Present only if the request asks for them. */
  readonly values?: Readonly<Record<string, string | null>> | null
}

/** Lists quarantined rows with their errors, newest first. */
export async function listErrors(context: EngineContext, request: ErrorsRequest): Promise<ShownError[]> {
  const model = await loadModel(context)
  const tables = model.select(request.tables)
  const errors = await readTarget(context, (target) => target.quarantine.errors({ ...request, tables }))
  const shown = errors.map((error) => ({ ...error, key: keyTexts(model, error.table, error.key) }))
  if (request.values !== true) return shown
  const values = await valuesOf(context, model, errors)
  return shown.map((error, at) => ({ ...error, values: values[at] ?? null }))
}

/** Reads the values of each error's row in one snapshot; null if the row no longer exists, or its table has no key. */
async function valuesOf(
  context: EngineContext,
  model: Model,
  errors: readonly { readonly table: string; readonly key: RowKey }[],
): Promise<(Record<string, string | null> | null)[]> {
  await using snapshot = await context.source.openSnapshot()
  const found: (Record<string, string | null> | null)[] = []
  for (const { table, key } of errors) found.push(await rowOf(snapshot, model.mapping(table), key))
  return found
}

async function rowOf(
  snapshot: SourceSnapshot,
  mapping: TableMapping,
  key: RowKey,
): Promise<Record<string, string | null> | null> {
  if (mapping.key === null) return null
  let row: RawRow | undefined
  for await (const { rows } of snapshot.rows.readKeys([{ table: mapping, keys: [key] }]))
    row ??= rows.find((each) => each.key === key)
  if (!row) return null
  const { values } = row
  return Object.fromEntries(mapping.columns.map((column, at) => [column.source.name, shownValue(column, values[at])]))
}

const MAX_SHOWN = 200

/** Formats text on one line and other bytes as hex, both truncated. Omits the number that an ENUM is read with. */
function shownValue({ read }: ColumnMapping, value: Buffer | null | undefined): string | null {
  if (value === null || value === undefined) return null
  const text = isUtf8(value) ? JSON.stringify(value.toString()).slice(1, -1) : `0x${value.toString('hex')}`
  const whole = read === 'enum' ? text.slice(text.indexOf(':') + 1) : text
  return whole.length > MAX_SHOWN ? `${whole.slice(0, MAX_SHOWN)}… (${value.length} bytes)` : whole
}
