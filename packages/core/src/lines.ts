import type { Retry } from './errors.js'
import type { Finding } from './model/finding.js'

/** A connection to a server, as established. */
export interface Line {
  readonly side: 'source' | 'target' | 'redis'
  /** A host name, an IP address, or a socket's path. */
  readonly host: string
  readonly encrypted: boolean
  /** The server's certificate was verified against an authority. */
  readonly verified: boolean
  /** The setting that encrypts and verifies the connection. */
  readonly remedy: string
}

/** Whether the host is this machine by name or address. An IPv4 address may be written as IPv6. */
export function isLoopback(host: string): boolean {
  const address = host.replace(/^::ffff:(?=\d+\.)/i, '')
  if (address === 'localhost' || /^(?:0{0,4}:){2,7}0{0,3}1$/.test(address)) return true
  return /^127(?:\.\d{1,3}){3}$/.test(address)
}

/** Warns about a connection beyond this machine that can be read or altered on the way. */
export function lineFindings({ side, host, encrypted, verified, remedy }: Line): Finding[] {
  if ((encrypted && verified) || host.startsWith('/') || isLoopback(host)) return []
  const found = encrypted
    ? {
        code: 'line-unverified' as const,
        cause: `the connection to ${host} is encrypted, but the server's identity is not verified: anyone in between can read and change all traffic`,
      }
    : {
        code: 'line-unencrypted' as const,
        cause: `the connection to ${host} is not encrypted: anyone on the path can read every row and the password`,
      }
  return [{ ...found, severity: 'warning', side, remedy }]
}

/** What must be fixed: the trusted authority, the server's address, its certificate, a clock, the client certificate, or the server's TLS. */
export type TlsCure = 'authority' | 'name' | 'renew' | 'clock' | 'client' | 'offer' | 'file' | 'server'

export interface TlsFault {
  /** A sentence about "it", the server. */
  readonly what: string
  readonly cure: TlsCure
  readonly retry: Retry
  readonly code: string
}

/** This product's codes, in addition to Node.js's. */
export const TLS_NOT_OFFERED = 'TLS_NOT_OFFERED'
export const TLS_FILE_UNFIT = 'TLS_FILE_UNFIT'
export const TLS_HANDSHAKE = 'TLS_HANDSHAKE'

type Reason = readonly [what: string, cure: TlsCure]
const UNKNOWN_AUTHORITY: Reason = ['its certificate was issued by an unknown authority', 'authority']
const OTHER_NAME: Reason = ['its certificate was issued for another name', 'name']
const NOT_OFFERED: Reason = ['it offers no encryption', 'offer']

/** Keyed by Node.js's TLS error codes: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const REASONS: Readonly<Record<string, Reason>> = {
  CERT_HAS_EXPIRED: ['its certificate has expired', 'renew'],
  CERT_NOT_YET_VALID: ['its certificate is not valid yet', 'clock'],
  CERT_REVOKED: ['its certificate was revoked', 'renew'],
  ERR_TLS_CERT_ALTNAME_INVALID: OTHER_NAME,
  HOSTNAME_MISMATCH: OTHER_NAME,
  CERT_UNTRUSTED: UNKNOWN_AUTHORITY,
  CERT_CHAIN_TOO_LONG: UNKNOWN_AUTHORITY,
  CERT_SIGNATURE_FAILURE: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  INVALID_CA: UNKNOWN_AUTHORITY,
  INVALID_PURPOSE: ['its certificate is not a server certificate', 'server'],
  ERR_SSL_WRONG_VERSION_NUMBER: NOT_OFFERED,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NOT_OFFERED,
  ERR_SSL_HTTP_REQUEST: NOT_OFFERED,
  ERR_SSL_UNSUPPORTED_PROTOCOL: ['it supports no TLS version that is accepted here', 'server'],
  [TLS_NOT_OFFERED]: NOT_OFFERED,
  [TLS_FILE_UNFIT]: ['a certificate or key file cannot be read or used', 'file'],
  [TLS_HANDSHAKE]: ['the TLS handshake fails', 'server'],
}

/** The server's alerts. The word before ALERT differs: TLSV1, TLSV13, SSLV3, or SSL/TLS since OpenSSL 3.2. */
const ALERTS: readonly (readonly [alert: RegExp, reason: Reason])[] = [
  [/_ALERT_PROTOCOL_VERSION$/, ['it accepts no TLS version that is supported here', 'server']],
  [
    /_ALERT_(?:CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE)$/,
    ['it requires a client certificate and received none', 'client'],
  ],
  [
    /_ALERT_(?:.*CERTIFICATE.*|UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR)$/,
    ['it refuses our client certificate', 'client'],
  ],
]

/** Why TLS failed, from the code alone; null if it is not a TLS error. */
export function tlsFault(error: unknown): TlsFault | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null
  const { code } = error
  const known = Object.hasOwn(REASONS, code) ? REASONS[code] : undefined
  if (known !== undefined) return faultOf(known, code)
  if (!/^ERR_(?:SSL|TLS)_/.test(code)) return null
  return faultOf(ALERTS.find(([alert]) => alert.test(code))?.[1] ?? [`TLS fails (${code})`, 'server'], code)
}

/** A file may be in the middle of its replacement, and a broken connection also fails the handshake. */
const PASSING: ReadonlySet<TlsCure> = new Set(['file', 'server'])

function faultOf([what, cure]: Reason, code: string): TlsFault {
  return { what, cure, retry: PASSING.has(cure) ? 'transient' : 'once-mended', code }
}

/** As `tlsFault`, only the sentence. */
export function tlsReason(error: unknown): string | null {
  return tlsFault(error)?.what ?? null
}
