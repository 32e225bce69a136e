import { sourceError } from '../connection/errors.js'
import type { Session } from '../connection/session.js'
import { readFacts } from '../preflight/check.js'
import type { SourceSettings } from '../settings.js'
import * as sql from '../sql.js'

/**
 * Throws SyncError missing-right if the account may create no trigger in the database: its first CREATE TRIGGER would fail
 * too, but only after the product's tables were created.
 */
export async function requireTrigger(session: Session, settings: SourceSettings): Promise<void> {
  const { definerGrants, grants, account } = await readFacts(session, settings, [])
  if (definerGrants.anywhere('TRIGGER')) return
  const where = `database ${settings.database}`
  throw sourceError('missing-right', `${account} lacks TRIGGER on ${where}; nothing was created`, {
    remedy: `GRANT TRIGGER ON ${grants.place} TO ${account};`,
  })
}

/** Throws SyncError missing-right, with the GRANT as remedy, if the account may not drop or rename one of these tables. */
export async function requireDrop(
  session: Session,
  settings: SourceSettings,
  tables: readonly string[],
): Promise<void> {
  if (tables.length === 0) return
  const { grants, account } = await readFacts(session, settings, [])
  const lacking = tables.filter((table) => !grants.on('DROP', table))
  if (lacking.length === 0) return
  throw sourceError('missing-right', `${account} lacks DROP on ${lacking.join(', ')}; nothing was removed`, {
    remedy: lacking
      .map((table) => `GRANT DROP ON ${sql.name(settings.database)}.${sql.name(table)} TO ${account};`)
      .join(' '),
  })
}
