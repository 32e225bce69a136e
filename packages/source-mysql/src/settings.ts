import type { TlsSettings } from '@mylab-sync/core'

/** The source's address, and this installation's names there. */
export interface SourceSettings {
  readonly host: string
  readonly port: number
  /** A Unix socket; takes precedence over host and port. */
  readonly socket?: string
  readonly user: string
  readonly password: string
  readonly database: string
  readonly tls: TlsSettings
  readonly auditTable: string
  readonly instance: string
}

/** Tables of this product on the source besides the change log; all installations there share them. */
export const INSTANCE_TABLE = 'sync_instance'
export const WATERMARK_TABLE = 'sync_instance_mark'

/** Set in every session of this product, so that the change log's guards can tell its work from manual changes. */
export const OWN_SESSION = '@mylab_sync_own'

/** All tables that an installation uses on its source. */
export function ownTableNames(settings: Pick<SourceSettings, 'auditTable'>): string[] {
  return [settings.auditTable, INSTANCE_TABLE, WATERMARK_TABLE]
}
