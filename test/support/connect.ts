import { NO_TLS, type Source, type Target } from '@mylab-sync/core'
import type { EngineContext } from '@mylab-sync/engine'
import { defaultMappingOptions } from '@mylab-sync/mapping'
import { createSource } from '@mylab-sync/source-mysql'
import { createTarget } from '@mylab-sync/target-postgres'
import type { DatabaseNames, Login, ServerSet } from '@mylab-sync/testkit'

/** Default options of an installation. */
export const OPTIONS: EngineContext['options'] = {
  include: ['*'],
  exclude: [],
  mapping: defaultMappingOptions,
  batchRows: null,
  copyConcurrency: 2,
  memoryMb: 256,
  schemaChanges: 'apply',
  verify: { share: 0, repair: 'report' },
}

/** TLS settings of a user who sets none. */
const PREFERRED = { ...NO_TLS, mode: 'prefer' } as const

export interface Sides extends AsyncDisposable {
  readonly source: Source
  readonly target: Target
}

/** Connects both sides of an installation, to databases of one name or of two; `await using` closes them. */
export async function connect(
  servers: Pick<ServerSet, 'source' | 'target' | 'product'>,
  names: string | DatabaseNames,
  /** The source's account; by default the documented one. */
  account: Login = servers.product.source,
): Promise<Sides> {
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
  return {
    source,
    target,
    async [Symbol.asyncDispose]() {
      await source.close()
      await target.close()
    },
  }
}
