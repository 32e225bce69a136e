import { type Finding, SyncError, type TableMapping } from '@mylab-sync/core'
import type { Session } from '../connection/session.js'
import type { SourceSettings } from '../settings.js'
import { type Check, finding, readFacts } from './check.js'
import {
  definers,
  foreignLog,
  logGuards,
  logIds,
  logSize,
  preparedTransactions,
  strayWriters,
  triggerModes,
} from './leftovers.js'
import { processRight, rights, triggerCreators } from './rights.js'
import { engines, keys } from './tables.js'
import {
  binlogFormat,
  charsets,
  foreignKeyMode,
  line,
  packet,
  readOnly,
  sqlMode,
  tableNames,
  version,
} from './server.js'

/** In the order in which problems should be fixed. */
const CHECKS: readonly Check[] = [
  version,
  line,
  readOnly,
  rights,
  processRight,
  triggerCreators,
  binlogFormat,
  charsets,
  foreignLog,
  logIds,
  strayWriters,
  logGuards,
  definers,
  triggerModes,
  preparedTransactions,
  engines,
  keys,
  foreignKeyMode,
  packet,
  tableNames,
  sqlMode,
  logSize,
]

export async function preflight(
  session: Session,
  settings: SourceSettings,
  tables: readonly TableMapping[],
): Promise<Finding[]> {
  const facts = await readFacts(session, settings, tables)
  const found: Finding[] = []
  for (const check of CHECKS) {
    try {
      found.push(...(await check(facts, session)))
    } catch (error) {
      // One failed check must not hide the findings of the others.
      if (!(error instanceof SyncError) || session.broken) throw error
      found.push(
        finding(
          'warning',
          'source-unseen',
          `some checks could not run: ${error.text}`,
          error.remedy ?? `use another account than ${facts.account}`,
        ),
      )
    }
  }
  return found
}

const CLOCK_LOOKS = 3

/** Uses the sample with the shortest round trip, which is the most accurate. */
export async function clockAheadMs(session: Session): Promise<number> {
  let best = { took: Number.POSITIVE_INFINITY, ahead: 0 }
  for (let look = 0; look < CLOCK_LOOKS; look++) {
    const sent = Date.now()
    const [row] = await session.rows('SELECT UNIX_TIMESTAMP(SYSDATE(6))')
    const received = Date.now()
    const ahead = Number(row?.[0] ?? 0) * 1000 - (sent + received) / 2
    if (received - sent < best.took) best = { took: received - sent, ahead }
  }
  return best.ahead
}
