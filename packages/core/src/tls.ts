/** As libpq names and means them: https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION */
export const TLS_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type TlsMode = (typeof TLS_MODES)[number]

/**
 * How the lines to one server are encrypted. The files are PEM and read anew for each connection, so that one that is
 * replaced needs no restart; null: none. Without a root certificate the authorities that Node.js trusts count.
 */
export interface TlsSettings {
  readonly mode: TlsMode
  readonly rootCert: string | null
  readonly cert: string | null
  readonly key: string | null
}

export const NO_TLS: TlsSettings = { mode: 'disable', rootCert: null, cert: null, key: null }

/** What became of one line: null stands for the address of a socket in the file system. */
export interface LineState {
  readonly encrypted: boolean
  readonly address: string | null
}
