import { type ApplicationObject, type OtherObjects, SyncError } from '@mylab-sync/core'
import { isOurTrigger } from '../capture/trigger-text.js'
import { labelOf } from '../connection/errors.js'
import type { Session, TextRow } from '../connection/session.js'
import { type Account, isAtLeast, readAccount } from '../preflight/check.js'
import { Grants } from '../preflight/grants.js'
import type { SourceSettings } from '../settings.js'
import type { Server } from './catalog.js'
import { applicationObjectsQueries, otherObjectsQueries, partitionedTablesQuery } from './queries.js'
import * as sql from '../sql.js'

/**
 * The database's other objects. Servers hide what an account has no right to see, so a count of 0 is meaningful only if it
 * has the right (measured on MariaDB 10.11 and MySQL 9.7).
 */
export async function readOtherObjects(
  session: Session,
  server: Server,
  { database, auditTable }: SourceSettings,
): Promise<OtherObjects> {
  const account = await readAccount(session, server, database)
  const listing = new Listing(session)
  const queries = otherObjectsQueries(database)
  const [views, routines, events, sequences] = [
    await listing.count('views', queries.views),
    await listing.count('routines', queries.routines),
    await listing.count('events', queries.events),
    await listing.count('sequences', queries.sequences),
  ]
  const triggers = await listing.rows('triggers', queries.triggers)
  const partitioned = await listing.rows('partitions', partitionedTablesQuery(database))
  const ofApplication = triggers?.filter(([name, table]) => table !== auditTable && !isOurTrigger(name ?? ''))
  const notVisible = missingGrants(account, server)
  const seen = (objects: keyof OtherObjects['counts'], count: number | null): number | null =>
    notVisible.some((missing) => missing.objects === objects) ? null : count
  return {
    counts: {
      views: seen('views', views),
      routines: seen('routines', routines),
      events: seen('events', events),
      triggers: seen('triggers', ofApplication?.length ?? null),
      sequences: seen('sequences', sequences),
    },
    notVisible,
    notListed: listing.failed,
    partitionedTables: (partitioned ?? []).map(([name]) => name ?? ''),
  }
}

/** Leaves out a kind that the server cannot list; `readOtherObjects` says which. */
export async function readApplicationObjects(
  session: Session,
  { database, auditTable }: SourceSettings,
): Promise<ApplicationObject[]> {
  const listing = new Listing(session)
  const found: ApplicationObject[] = []
  for (const { objects, query } of applicationObjectsQueries(database))
    for (const [kind, name, table = null] of (await listing.rows(objects, query)) ?? []) {
      if (!isKind(kind) || name === null || name === undefined) continue
      if (kind === 'trigger' && (table === auditTable || isOurTrigger(name))) continue
      found.push({ kind, name, table, shownBy: `SHOW CREATE ${kind.toUpperCase()} ${sql.name(name)};` })
    }
  return found
}

const KINDS: readonly string[] = ['view', 'procedure', 'function', 'event', 'trigger', 'sequence']

function isKind(kind: string | null | undefined): kind is ApplicationObject['kind'] {
  return typeof kind === 'string' && KINDS.includes(kind)
}

/** Tolerates errors, since these counts only inform: a server whose own tables are damaged or outdated (1805) cannot list some kinds. */
class Listing {
  readonly #session: Session
  readonly failed: { objects: OtherObjects['notListed'][number]['objects']; reason: string }[] = []

  constructor(session: Session) {
    this.#session = session
  }

  async rows(objects: OtherObjects['notListed'][number]['objects'], query: string): Promise<TextRow[] | null> {
    try {
      return await this.#session.rows(query)
    } catch (error) {
      if (!(error instanceof SyncError) || this.#session.broken) throw error
      this.failed.push({ objects, reason: labelOf(error) })
      return null
    }
  }

  async count(objects: keyof OtherObjects['counts'], query: string): Promise<number | null> {
    const rows = await this.rows(objects, query)
    return rows === null ? null : Number(rows[0]?.[0] ?? 0)
  }
}

function missingGrants(account: Account, server: Server): OtherObjects['notVisible'] {
  const grant = (right: string, on = account.grants.place): string => `GRANT ${right} ON ${on} TO ${account.name};`
  return [
    ...(seesRoutines(account) ? [] : [{ objects: 'routines' as const, grant: routinesGrant(server, grant) }]),
    ...(account.grants.on('EVENT', null) ? [] : [{ objects: 'events' as const, grant: grant('EVENT') }]),
    ...(account.grants.on('TRIGGER', null) ? [] : [{ objects: 'triggers' as const, grant: grant('TRIGGER') }]),
  ]
}

function seesRoutines({ grants, lines }: Account): boolean {
  const rights = ['EXECUTE', 'ALTER ROUTINE', 'SHOW CREATE ROUTINE', 'SHOW_ROUTINE']
  if (rights.some((right) => grants.on(right, null)) || grants.global('SELECT')) return true
  return new Grants(lines, 'mysql').on('SELECT', 'proc')
}

/** The least right that lets an account see routines. */
function routinesGrant(server: Server, grant: (right: string, on?: string) => string): string {
  if (server.vendor === 'mysql' && isAtLeast(server, [8, 0, 20])) return grant('SHOW_ROUTINE', '*.*')
  if (server.vendor === 'mysql' && isAtLeast(server, [8, 0, 0])) return grant('EXECUTE')
  if (server.vendor === 'mariadb' && isAtLeast(server, [11, 3, 1])) return grant('SHOW CREATE ROUTINE')
  return grant('SELECT', 'mysql.proc')
}
