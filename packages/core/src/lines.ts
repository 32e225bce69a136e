import type { Finding } from './model/finding.js'

/** A connection to a server, as it came about. */
export interface Line {
  readonly side: 'source' | 'target' | 'redis'
  /** A name, an address, or the path of a socket. */
  readonly host: string
  readonly encrypted: boolean
  /** The server's certificate was checked against an authority, and its name against the host. */
  readonly verified: boolean
  /** What to set for a line that is encrypted and verified. */
  readonly remedy: string
}

/** Names and addresses of this machine alone. An address of IPv4 may be written as one of IPv6. */
export function isLoopback(host: string): boolean {
  const address = host.replace(/^::ffff:(?=\d+\.)/i, '')
  if (address === 'localhost' || /^(?:0{0,4}:){2,7}0{0,3}1$/.test(address)) return true
  return /^127(?:\.\d{1,3}){3}$/.test(address)
}

/** What a reader or a changer of the line could do, for a line that leaves this machine. */
export function lineFindings({ side, host, encrypted, verified, remedy }: Line): Finding[] {
  if ((encrypted && verified) || host.startsWith('/') || isLoopback(host)) return []
  const found = encrypted
    ? {
        code: 'line-unverified',
        cause: `the line to ${host} is encrypted, but nobody checks that it ends at the right server: whoever stands between can read and change all of it`,
      }
    : {
        code: 'line-unencrypted',
        cause: `the line to ${host} is not encrypted: whoever is on its way reads every row and the password`,
      }
  return [{ ...found, severity: 'warning', side, remedy }]
}

const UNKNOWN_AUTHORITY = 'its certificate is of an authority that is not known here'
const CLIENT_REFUSED = 'it refuses our client certificate'
const CLIENT_WANTED = 'it asks for a client certificate and gets none'
const NOT_OFFERED = 'it offers no encryption'

/** By the codes of node's TLS: https://nodejs.org/api/tls.html#x509-certificate-error-codes, and OpenSSL's reasons for the alerts. */
const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  CERT_REVOKED: 'its certificate was revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  HOSTNAME_MISMATCH: 'its certificate is for another name',
  CERT_UNTRUSTED: UNKNOWN_AUTHORITY,
  CERT_CHAIN_TOO_LONG: UNKNOWN_AUTHORITY,
  CERT_SIGNATURE_FAILURE: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  INVALID_CA: UNKNOWN_AUTHORITY,
  INVALID_PURPOSE: 'its certificate is not one of a server',
  ERR_SSL_WRONG_VERSION_NUMBER: NOT_OFFERED,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NOT_OFFERED,
  ERR_SSL_HTTP_REQUEST: NOT_OFFERED,
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'it speaks no version of TLS that is taken here',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'it takes no version of TLS that is spoken here',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: CLIENT_WANTED,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: CLIENT_WANTED,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: CLIENT_REFUSED,
  ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: CLIENT_REFUSED,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED: CLIENT_REFUSED,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: CLIENT_REFUSED,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: CLIENT_REFUSED,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: CLIENT_REFUSED,
  ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR: CLIENT_REFUSED,
}

/** Why a line could not be encrypted or was refused, about "it", the server. Null: the error is none of TLS. */
export function tlsReason(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null
  if (Object.hasOwn(REASONS, error.code)) return REASONS[error.code] ?? null
  return /^ERR_(?:SSL|TLS)_/.test(error.code) ? `TLS fails (${error.code})` : null
}
