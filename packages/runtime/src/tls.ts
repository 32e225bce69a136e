import type { LineWeakness, TlsSettings } from '@mylab-sync/core'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { checkServerIdentity, type ConnectionOptions, createSecureContext, type PeerCertificate } from 'node:tls'

/** Why there is no encrypted line; `code` is Node's own, or `NOT_OFFERED` or `FILE_UNFIT` below. */
export class TlsRefused extends Error {
  override readonly name = 'TlsRefused'
  readonly code: string
  constructor(code: string, cause?: unknown) {
    super(`no encrypted line (${code})`, cause === undefined ? undefined : { cause })
    this.code = code
  }
}

export const NOT_OFFERED = 'TLS_NOT_OFFERED'
export const FILE_UNFIT = 'TLS_FILE_UNFIT'

/** What has to change: a file of ours, the server, or how it is addressed. */
export type TlsCure = 'authority' | 'name' | 'renew' | 'clock' | 'client' | 'offer' | 'file' | 'server'

export interface TlsFault {
  readonly what: string
  readonly cure: TlsCure
}

const HANDSHAKE_FAILED = 'the TLS handshake failed'
const UNKNOWN_AUTHORITY: TlsFault = {
  what: 'an authority has signed its certificate that is not trusted here',
  cure: 'authority',
}
/** https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const FAULTS: Readonly<Record<string, TlsFault>> = {
  CERT_HAS_EXPIRED: { what: 'its certificate, or that of its authority, has expired', cure: 'renew' },
  CERT_NOT_YET_VALID: { what: 'its certificate is not valid yet', cure: 'clock' },
  CERT_REVOKED: { what: 'its certificate was revoked', cure: 'renew' },
  ERR_TLS_CERT_ALTNAME_INVALID: { what: 'its certificate is for another name', cure: 'name' },
  HOSTNAME_MISMATCH: { what: 'its certificate is for another name', cure: 'name' },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  CERT_UNTRUSTED: UNKNOWN_AUTHORITY,
  CERT_SIGNATURE_FAILURE: UNKNOWN_AUTHORITY,
  INVALID_CA: UNKNOWN_AUTHORITY,
  CERT_REJECTED: { what: 'its certificate is not fit for a server', cure: 'server' },
  INVALID_PURPOSE: { what: 'its certificate is not fit for a server', cure: 'server' },
  PATH_LENGTH_EXCEEDED: UNKNOWN_AUTHORITY,
  CERT_CHAIN_TOO_LONG: UNKNOWN_AUTHORITY,
  [NOT_OFFERED]: { what: 'it does not offer encryption', cure: 'offer' },
  [FILE_UNFIT]: { what: 'a file of the certificates cannot be read or used', cure: 'file' },
}
/** An alert by which the server ends the handshake, as OpenSSL names it; its prefix differs from version to version. */
const ALERTS: readonly (readonly [alert: RegExp, fault: TlsFault])[] = [
  [/^ERR_SSL_.*ALERT_.*CERTIFICATE_REQUIRED$/, { what: 'it asks for a certificate of ours', cure: 'client' }],
  [
    /^ERR_SSL_.*ALERT_.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR)/,
    { what: 'it refuses the certificate of ours', cure: 'client' },
  ],
  [/^ERR_SSL_/, { what: HANDSHAKE_FAILED, cure: 'server' }],
]

/** What an error of a connection says of TLS, by its code alone and never by its text; null: it is about something else. */
export function tlsFault(error: unknown): (TlsFault & { readonly code: string }) | null {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
  if (typeof code !== 'string') return null
  const fault = FAULTS[code] ?? ALERTS.find(([alert]) => alert.test(code))?.[1]
  if (fault !== undefined) return { ...fault, code }
  // The line broke in the middle of the handshake.
  return error instanceof TlsRefused ? { what: HANDSHAKE_FAILED, cure: 'server', code } : null
}

/** What to do about it on the side whose variables begin with `prefix`: `DB` or `PGSQL`. */
export function tlsRemedy(cure: TlsCure, prefix: string): string {
  const remedies: Readonly<Record<TlsCure, string>> = {
    authority: `name the authority's certificate in ${prefix}_SSLROOTCERT; ${prefix}_SSLMODE=require without one encrypts and asks nobody`,
    name: `connect by a name or an address that the certificate holds; ${prefix}_SSLMODE=verify-ca asks for the authority alone`,
    renew: 'renew the certificate on the server, and have the server read it',
    clock: 'compare the clocks of this host and the server',
    client: `${prefix}_SSLCERT and ${prefix}_SSLKEY: a certificate that the authority of the server has signed, valid now`,
    offer: `switch TLS on at the server; ${prefix}_SSLMODE=prefer or disable does without, for everybody on the way to read`,
    file: `check the files of ${prefix}_SSLROOTCERT, ${prefix}_SSLCERT and ${prefix}_SSLKEY: readable, in PEM, the key that of the certificate`,
    server: "look into the server's log: TLS 1.2 or later and a certificate for servers are needed",
  }
  return remedies[cure]
}

export interface TlsMaterial {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

/** The files as they are now. Throws TlsRefused where one cannot be read, or they do not fit together. */
export async function readTlsMaterial({ mode, rootCert, cert, key }: TlsSettings): Promise<TlsMaterial> {
  // `prefer` and `require` ask no authority.
  const ca = rootCert !== null && verifies(mode) ? { ca: await read(rootCert) } : {}
  const ours = cert === null || key === null ? {} : { cert: await read(cert), key: await read(key) }
  const material = { ...ca, ...ours }
  try {
    createSecureContext(material)
  } catch (error) {
    throw new TlsRefused(FILE_UNFIT, error)
  }
  return material
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new TlsRefused(FILE_UNFIT, error)
  }
}

export function verifies(mode: TlsSettings['mode']): boolean {
  return mode === 'verify-ca' || mode === 'verify-full'
}

/** Undefined: the certificate holds this name or address, or the mode does not ask. */
export function identityError({ mode }: TlsSettings, host: string, certificate: PeerCertificate): Error | undefined {
  return mode === 'verify-full' ? checkServerIdentity(host, certificate) : undefined
}

/** For tls.connect over a socket that is connected to `host`. */
export function tlsOptions(settings: TlsSettings, host: string, material: TlsMaterial): ConnectionOptions {
  return {
    ...material,
    rejectUnauthorized: verifies(settings.mode),
    checkServerIdentity: (_name, certificate) => identityError(settings, host, certificate),
    // RFC 6066: an address is no server name.
    ...(isIP(host) === 0 ? { servername: host } : {}),
  }
}

/** What doctor says of a weak line to `address`, on the side whose variables begin with `prefix`. */
export function weakLine(
  weakness: LineWeakness,
  address: string,
  prefix: string,
): { readonly cause: string; readonly remedy: string } {
  const verify = `${prefix}_SSLROOTCERT with the authority that has signed the server's certificate (then ${prefix}_SSLMODE is verify-full)`
  return weakness === 'plain'
    ? {
        cause: `the line to ${address} is not encrypted: whoever is on the way reads and alters what passes`,
        remedy: `switch TLS on at the server, and set ${verify}; a socket or a tunnel that ends on this host does as well`,
      }
    : {
        cause: `the line to ${address} is encrypted, but nobody asks whose certificate it is: whoever is on the way can stand in for the server`,
        remedy: `set ${verify}`,
      }
}
