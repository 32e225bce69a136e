import type { TlsSettings } from '@mylab-sync/core'

/** Where the source is and what this installation is called on it. */
export interface SourceSettings {
  readonly host: string
  readonly port: number
  /** A Unix socket; wins over host and port. */
  readonly socket?: string
  readonly user: string
  readonly password: string
  readonly database: string
  readonly tls: TlsSettings
  readonly auditTable: string
  readonly instance: string
}

/** Our tables on the source beside the change log; all installations on it share them. */
export const INSTANCE_TABLE = 'sync_instance'
export const MARK_TABLE = 'sync_instance_mark'

/** Set in every session of ours: by it the guards of the change log tell our work from what somebody does by hand. */
export const OWN_SESSION = '@mylab_sync_own'

/** All that an installation keeps on its source. */
export function ownTableNames(settings: Pick<SourceSettings, 'auditTable'>): string[] {
  return [settings.auditTable, INSTANCE_TABLE, MARK_TABLE]
}
