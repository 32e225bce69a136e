import { TLS_FILE_UNFIT, TLS_HANDSHAKE, type TlsCure, tlsFault, type TlsSettings } from '@mylab-sync/core'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { checkServerIdentity, type ConnectionOptions, createSecureContext, type PeerCertificate } from 'node:tls'

/** No encrypted connection; core's `tlsFault` derives the reason from the code. */
export class TlsRefused extends Error {
  override readonly name = 'TlsRefused'
  readonly code: string
  constructor(code: string, cause?: unknown) {
    super(`no encrypted connection (${code})`, cause === undefined ? undefined : { cause })
    this.code = code
  }
}

/** The code of a failed handshake. An error without a TLS code is a broken connection, reported as TLS_HANDSHAKE. */
export function handshakeCode(error: unknown): string {
  return tlsFault(error)?.code ?? TLS_HANDSHAKE
}

/** The remedy for the side whose variables begin with `prefix`: `DB` or `PGSQL`. */
export function tlsRemedy(cure: TlsCure, prefix: string): string {
  const remedies: Readonly<Record<TlsCure, string>> = {
    authority: `name the authority's certificate in ${prefix}_SSLROOTCERT; ${prefix}_SSLMODE=require without one encrypts and verifies nothing`,
    name: `connect by a name or an address that the certificate holds; ${prefix}_SSLMODE=verify-ca verifies the authority only`,
    renew: 'renew the certificate on the server, and have the server read it',
    clock: 'compare the clocks of this host and the server',
    client: `${prefix}_SSLCERT and ${prefix}_SSLKEY: a certificate that the authority of the server has signed, valid now`,
    offer: `switch TLS on at the server; ${prefix}_SSLMODE=prefer or disable does without, so anyone on the path can read the traffic`,
    file: `check the files of ${prefix}_SSLROOTCERT, ${prefix}_SSLCERT and ${prefix}_SSLKEY: readable, in PEM, the key that of the certificate`,
    server: "see the server's log: TLS 1.2 or later and a server certificate are required",
  }
  return remedies[cure]
}

export interface TlsMaterial {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

/** Reads the files as they are now. Throws TlsRefused if one cannot be read or they do not match. */
export async function readTlsMaterial({ mode, rootCert, cert, key }: TlsSettings): Promise<TlsMaterial> {
  // `prefer` and `require` verify against no authority.
  const ca = rootCert !== null && verifies(mode) ? { ca: await read(rootCert) } : {}
  const ours = cert === null || key === null ? {} : { cert: await read(cert), key: await read(key) }
  const material = { ...ca, ...ours }
  try {
    createSecureContext(material)
  } catch (error) {
    throw new TlsRefused(TLS_FILE_UNFIT, error)
  }
  return material
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new TlsRefused(TLS_FILE_UNFIT, error)
  }
}

export function verifies(mode: TlsSettings['mode']): boolean {
  return mode === 'verify-ca' || mode === 'verify-full'
}

/** The remedy of doctor's findings about an unverified connection. */
export function verifyRemedy(prefix: string): string {
  return `${prefix}_SSLROOTCERT with the authority that has signed the server's certificate, which makes ${prefix}_SSLMODE verify-full; or a socket or a tunnel that ends on this host`
}

/** Undefined if the certificate covers this name or address, or if the mode does not check it. */
export function identityError({ mode }: TlsSettings, host: string, certificate: PeerCertificate): Error | undefined {
  return mode === 'verify-full' ? checkServerIdentity(host, certificate) : undefined
}

/** For tls.connect over a socket that is already connected to `host`. */
export function tlsOptions(settings: TlsSettings, host: string, material: TlsMaterial): ConnectionOptions {
  return {
    ...material,
    rejectUnauthorized: verifies(settings.mode),
    checkServerIdentity: (_name, certificate) => identityError(settings, host, certificate),
    // RFC 6066: an address is not a valid server name.
    ...(isIP(host) === 0 ? { servername: host } : {}),
  }
}
