import type { RowKey } from '@mylab-sync/core'
import { keyText } from '@mylab-sync/mapping'
import type { EngineContext } from './context.js'
import { drain } from './drain.js'
import { loadModel, type Model } from './model.js'
import { readTarget } from './read-target.js'

export interface ErrorsRequest {
  /** Name patterns; empty: all. */
  readonly tables: readonly string[]
  readonly limit: number
  /** What is no longer quarantined too. */
  readonly history: boolean
}

export interface ShownError {
  readonly table: string
  /** Text of each key column, as the source shows it. */
  readonly key: readonly string[]
  readonly operation: string
  readonly attempts: number
  readonly code: string
  readonly message: string
  readonly at: string
}

/** What is quarantined, newest first. */
export async function listErrors(context: EngineContext, request: ErrorsRequest): Promise<ShownError[]> {
  const model = await loadModel(context)
  const tables = model.select(request.tables)
  const errors = await readTarget(context, (target) => target.errors({ ...request, tables }))
  return errors.map((error) => ({ ...error, key: keyTexts(model, error.table, error.key) }))
}

function keyTexts(model: Model, table: string, key: RowKey): string[] {
  const columns = model.keyed(table)?.key?.columns ?? []
  if (key === '' && columns.length === 0) return []
  return key.split(',').map((token, at) => {
    const column = columns[at]
    return column ? keyText(column, token) : token
  })
}

const DRAIN_WAIT_MS = 60_000

export interface RetryReport {
  readonly tried: number
  readonly recovered: number
  readonly left: number
}

/** Tries all quarantined keys of these tables again, in a drain of its own. */
export async function retryFailed(context: EngineContext, patterns: readonly string[]): Promise<RetryReport> {
  const model = await loadModel(context)
  const tables = model.select(patterns)
  const target = await context.target.begin()
  let tried: number
  try {
    tried = await target.retryQuarantined(tables)
    await target.commit()
  } finally {
    await target.rollback()
  }
  await drain(context, model, { waitMs: DRAIN_WAIT_MS })
  const counts = await readTarget(context, (reader) => reader.countQuarantined())
  const left = tables.reduce((sum, table) => sum + (counts.get(table) ?? 0), 0)
  return { tried, recovered: Math.max(0, tried - left), left }
}
