/** With libpq's names and meanings: https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION */
export const TLS_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type TlsMode = (typeof TLS_MODES)[number]

/**
 * How connections to one server are encrypted. Files are PEM, null if not given, and read for each connection, so that
 * replacing one needs no restart. Without a root certificate, the authorities that Node.js trusts apply.
 */
export interface TlsSettings {
  readonly mode: TlsMode
  readonly rootCert: string | null
  readonly cert: string | null
  readonly key: string | null
}

export const NO_TLS: TlsSettings = { mode: 'disable', rootCert: null, cert: null, key: null }

/** The encryption of an established connection; a null address means a Unix socket. */
export interface LineState {
  readonly encrypted: boolean
  readonly address: string | null
}
