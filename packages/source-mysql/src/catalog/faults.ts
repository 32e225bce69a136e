import { batchesOf, SyncError, type TableFault } from '@mylab-sync/core'
import { isOfTable, labelOf, repairRemedy, wordsOf } from '../connection/errors.js'
import type { Session } from '../connection/session.js'
import * as sql from '../sql.js'

/** A locked table takes 3 s to time out: after this many the rest is skipped. */
const MAX_LOCKED = 3
const TABLES_PER_PACKET = 50

/**
 * The tables from which the server cannot read a row, each with its reason: a missing file, a discarded tablespace, an
 * unknown engine. Only a read reveals it: MySQL lists such a table like any other.
 */
export async function findFaults(session: Session, tables: readonly string[]): Promise<Map<string, TableFault>> {
  const faults = new Map<string, TableFault>()
  let locked = 0
  for (const table of await suspects(session, tables)) {
    try {
      await session.rows(firstRow(table))
    } catch (error) {
      if (!(error instanceof SyncError)) throw error
      if (error.code === 'lock-timeout' && ++locked >= MAX_LOCKED) break
      // The checks of rights find a missing right, and readers find a changing definition.
      if (['lock-timeout', 'generation-changed', 'missing-right'].includes(error.code)) continue
      if (!isOfTable(error)) throw error
      faults.set(table, faultOf(table, error))
    }
  }
  return faults
}

/** The tables of those packets in which any read failed. */
async function suspects(session: Session, tables: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const packet of batchesOf(tables, TABLES_PER_PACKET)) {
    const { error } = await session.runAll(packet.map(firstRow))
    if (session.broken) throw error
    if (error !== null) found.push(...packet)
  }
  return found
}

function firstRow(table: string): string {
  return `SELECT 1 FROM ${sql.name(table)} LIMIT 1`
}

function faultOf(table: string, error: SyncError): TableFault {
  return { reason: `the source cannot read it: ${labelOf(error)}${wordsOf(error)}`, remedy: repairRemedy(table) }
}
