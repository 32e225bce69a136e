import { SyncError, type TableFault } from '@mylab-sync/core'
import { isOfTable, labelOf, mendRemedy, wordsOf } from '../connection/errors.js'
import type { Session } from '../connection/session.js'
import * as sql from '../sql.js'

/** Tables that somebody has locked are waited for, 3 s each: after so many the rest is not asked. */
const MOST_LOCKED = 3

/**
 * Those of these tables of which the server refuses to hand out a row, each with its reason: a file is gone, a tablespace is
 * discarded, an engine is unknown. Only reading tells: MySQL lists such a table as any other one.
 */
export async function findFaults(session: Session, tables: readonly string[]): Promise<Map<string, TableFault>> {
  const faults = new Map<string, TableFault>()
  let locked = 0
  for (const table of tables) {
    try {
      await session.rows(`SELECT 1 FROM ${sql.name(table)} LIMIT 1`)
    } catch (error) {
      if (!(error instanceof SyncError)) throw error
      if (error.code === 'lock-timeout' && ++locked >= MOST_LOCKED) break
      // A right that is missing is found by the checks of rights, and a definition that moves by the reader.
      if (['lock-timeout', 'generation-changed', 'missing-right'].includes(error.code)) continue
      if (!isOfTable(error)) throw error
      faults.set(table, faultOf(table, error))
    }
  }
  return faults
}

function faultOf(table: string, error: SyncError): TableFault {
  return { reason: `the source cannot read it: ${labelOf(error)}${wordsOf(error)}`, remedy: mendRemedy(table) }
}
