import { ERRORS, SyncError } from '@mylab-sync/core'
import { tell, tellText } from './output.js'

export function exitCodeOf(error: unknown): number {
  return error instanceof SyncError ? ERRORS[error.code].exit : 1
}

/**
 * Prints place and cause on one line, the remedy on the next. Driver messages quote row data, so they are never
 * printed.
 */
export function explain(error: unknown): void {
  if (error instanceof SyncError) {
    // A configuration error has one line per fault.
    if (error.code === 'configuration') tellText(`mylab-sync: ${error.message}`)
    else tell(`mylab-sync: ${error.message}`)
    if (error.remedy !== null) tell(`  try: ${error.remedy}`)
    return
  }
  tell(`mylab-sync: ${describe(error)}; set MYLAB_SYNC_DEBUG=1 for details`)
  tellWhole(error)
}

/** For developers only: the stack may quote row data. */
export function tellWhole(error: unknown): void {
  if (process.env['MYLAB_SYNC_DEBUG'] === '1')
    tellText(error instanceof Error ? (error.stack ?? error.message) : String(error))
}

/** One line without row data. */
export function describe(error: unknown): string {
  if (error instanceof SyncError) return error.message
  return `an unexpected ${error instanceof Error ? error.name : 'error'} in ${placeOf(error)}`
}

function placeOf(error: unknown): string {
  const [, place] = /\n\s+at (?:async )?(\S+)/.exec(error instanceof Error ? (error.stack ?? '') : '') ?? []
  return place ?? 'an unknown place'
}
