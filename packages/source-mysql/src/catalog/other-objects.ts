import type { OtherObjects } from '@mylab-sync/core'
import { isOurTrigger } from '../capture/trigger-text.js'
import type { Session } from '../connection/session.js'
import { type Account, isAtLeast, readAccount } from '../preflight/check.js'
import { Grants } from '../preflight/grants.js'
import * as sql from '../sql.js'
import type { Server } from './catalog.js'
import { otherObjectsQuery, partitionedTablesQuery, triggerNamesQuery } from './queries.js'

/**
 * What the database holds beside tables. The servers show nothing of what an account may not see, so a count of 0 says
 * something only where the account has the right to look (measured on MariaDB 10.11 and MySQL 9.7).
 */
export async function readOtherObjects(session: Session, server: Server, database: string): Promise<OtherObjects> {
  const account = await readAccount(session, server, database)
  const [counts] = await session.rows(otherObjectsQuery(database))
  const triggers = await session.definitions(triggerNamesQuery(database))
  const partitioned = await session.definitions(partitionedTablesQuery(database))
  const notVisible = missingGrants(account, server, database)
  const seen = (objects: keyof OtherObjects['counts'], count: string | null | undefined): number | null =>
    notVisible.some((missing) => missing.objects === objects) ? null : Number(count ?? 0)
  const own = triggers.filter(([name]) => isOurTrigger(name ?? ''))
  return {
    counts: {
      views: seen('views', counts?.[0]),
      routines: seen('routines', counts?.[1]),
      events: seen('events', counts?.[2]),
      triggers: seen('triggers', String(triggers.length - own.length)),
      sequences: seen('sequences', counts?.[3]),
    },
    notVisible,
    partitionedTables: partitioned.map(([name]) => name ?? ''),
  }
}

function missingGrants(account: Account, server: Server, database: string): OtherObjects['notVisible'] {
  const grant = (right: string, on = `${sql.name(database)}.*`): string => `GRANT ${right} ON ${on} TO ${account.name};`
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

/** The smallest right that each server has for it. */
function routinesGrant(server: Server, grant: (right: string, on?: string) => string): string {
  if (server.vendor === 'mysql' && isAtLeast(server, [8, 0, 20])) return grant('SHOW_ROUTINE', '*.*')
  if (server.vendor === 'mysql' && isAtLeast(server, [8, 0, 0])) return grant('EXECUTE')
  if (server.vendor === 'mariadb' && isAtLeast(server, [11, 3, 1])) return grant('SHOW CREATE ROUTINE')
  return grant('SELECT', 'mysql.proc')
}
