/** Where the source is and what this installation is called on it. */
export interface SourceSettings {
  readonly host: string
  readonly port: number
  /** A Unix socket; wins over host and port. */
  readonly socket?: string
  readonly user: string
  readonly password: string
  readonly database: string
  readonly auditTable: string
  readonly instance: string
}

/** The second table of ours on the source. */
export const INSTANCE_TABLE = 'sync_instance'
