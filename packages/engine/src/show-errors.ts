import type { RowKey } from '@mylab-sync/core'
import { keyText } from '@mylab-sync/mapping'
import type { EngineContext, Progress } from './context.js'
import { drain } from './drain.js'
import { loadModel, type Model } from './model.js'
import { readTarget } from './read-target.js'
import { resyncTables } from './table-control.js'
import { writeTarget } from './write-target.js'

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

/** As retryFailed, and copies broken tables again, with what their rows act on. */
export async function retryErrors(
  context: EngineContext,
  patterns: readonly string[],
  running: { readonly progress: Progress; readonly signal: AbortSignal },
): Promise<RetryReport & { readonly mended: readonly string[] }> {
  const model = await loadModel(context)
  const states = await readTarget(context, (target) => target.progress())
  const broken = model.select(patterns).filter((table) => states.get(table)?.state === 'broken')
  const mended = broken.length === 0 ? [] : await resyncTables(context, broken, running)
  return { ...(await retryFailed(context, patterns)), mended }
}

/** Tries all quarantined keys of these tables again, in a drain of its own. */
export async function retryFailed(context: EngineContext, patterns: readonly string[]): Promise<RetryReport> {
  const model = await loadModel(context)
  const tables = model.select(patterns)
  const tried = await writeTarget(context, (target) => target.retryQuarantined(tables))
  await drain(context, model, { waitMs: DRAIN_WAIT_MS })
  const counts = await readTarget(context, (reader) => reader.countQuarantined())
  const left = tables.reduce((sum, table) => sum + (counts.get(table) ?? 0), 0)
  return { tried, recovered: Math.max(0, tried - left), left }
}
