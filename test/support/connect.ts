import { NO_TLS, type Source, type Target } from '@mylab-sync/core'
import { createSource } from '@mylab-sync/source-mysql'
import { createTarget } from '@mylab-sync/target-postgres'
import type { DatabaseNames, Login, ServerSet } from '@mylab-sync/testkit'

/** What nobody has set. */
const PREFERRED = { ...NO_TLS, mode: 'prefer' } as const

/** Both sides of an installation between two databases, of one name or of two; the caller closes them. */
export async function connect(
  servers: Pick<ServerSet, 'source' | 'target' | 'product'>,
  names: string | DatabaseNames,
  /** The source's account; the documented one unless it is given. */
  account: Login = servers.product.source,
): Promise<{ source: Source; target: Target }> {
  const at = typeof names === 'string' ? { source: names, target: names } : names
  const { source: mine, target: theirs } = servers
  const source = await createSource({
    host: mine.host,
    port: mine.port,
    user: account.user,
    password: account.password,
    database: at.source,
    tls: PREFERRED,
    auditTable: 'sync_audit_log',
    instance: 'default',
  })
  const target = await createTarget({
    host: theirs.host,
    port: theirs.port,
    user: servers.product.target.user,
    password: servers.product.target.password,
    database: at.target,
    schema: 'public',
    stateSchema: 'mylab_sync',
    tls: PREFERRED,
    instance: 'default',
  })
  return { source, target }
}
