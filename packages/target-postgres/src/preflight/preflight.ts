import { type Finding, SyncError, type TableMapping } from '@mylab-sync/core'
import type { Database } from '../connection/database.js'
import { type Check, finding, readFacts } from './check.js'
import { keptRows } from './kept.js'
import { grantedTriggers, openSchemas, schemaRights, temporaryTables } from './rights.js'
import { connections, encoding, line, pooler, readOnly, replicationRole, version } from './server.js'
import { standingTables } from './tables.js'

/** In the order in which their findings are worth fixing. */
const CHECKS: readonly Check[] = [
  version,
  line,
  encoding,
  readOnly,
  schemaRights,
  temporaryTables,
  openSchemas,
  grantedTriggers,
  standingTables,
  keptRows,
  replicationRole,
  connections,
  pooler,
]

export async function preflight(database: Database, tables: readonly TableMapping[]): Promise<Finding[]> {
  const subject = { database, facts: await readFacts(database), tables }
  const found: Finding[] = []
  for (const check of CHECKS) {
    try {
      found.push(...(await check(subject)))
    } catch (error) {
      // A check that cannot run must not hide the findings of the others.
      if (!(error instanceof SyncError) || error.code === 'lost-connection') throw error
      found.push(
        finding(
          'warning',
          'target-unseen',
          `some checks could not run: ${error.text}`,
          error.remedy ?? `use another account than ${subject.facts.account}`,
        ),
      )
    }
  }
  return found
}

const CLOCK_LOOKS = 3

/** How far the target's clock is ahead of ours. Of several readings, the one with the shortest round trip counts. */
export async function clockAheadMs(database: Database): Promise<number> {
  return database.outside(async (session) => {
    let best = { took: Number.POSITIVE_INFINITY, ahead: 0 }
    for (let look = 0; look < CLOCK_LOOKS; look++) {
      const sent = Date.now()
      const [row] = await session.rows<{ now: number }>(
        'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now',
      )
      const received = Date.now()
      const ahead = (row?.now ?? 0) - (sent + received) / 2
      if (received - sent < best.took) best = { took: received - sent, ahead }
    }
    return best.ahead
  })
}
