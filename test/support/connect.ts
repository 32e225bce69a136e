import type { Source, Target } from '@mylab-sync/core'
import { createSource } from '@mylab-sync/source-mysql'
import { createTarget } from '@mylab-sync/target-postgres'
import type { DatabaseNames, ServerSet } from '@mylab-sync/testkit'

/** Both sides of an installation between two databases, of one name or of two; the caller closes them. */
export async function connect(
  servers: Pick<ServerSet, 'source' | 'target'>,
  names: string | DatabaseNames,
  /** The source's account; the one of everything else unless it is given. */
  account: { readonly user: string; readonly password: string } = servers.source,
): Promise<{ source: Source; target: Target }> {
  const at = typeof names === 'string' ? { source: names, target: names } : names
  const { source: mine, target: theirs } = servers
  const source = await createSource({
    host: mine.host,
    port: mine.port,
    user: account.user,
    password: account.password,
    database: at.source,
    auditTable: 'sync_audit_log',
    instance: 'default',
  })
  const target = await createTarget({
    host: theirs.host,
    port: theirs.port,
    user: theirs.user,
    password: theirs.password,
    database: at.target,
    schema: 'public',
    stateSchema: 'mylab_sync',
    ssl: false,
    instance: 'default',
  })
  return { source, target }
}
