import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { fault } from './fault.js'

/** Paths of PEM files, which are read again for each connection. */
export interface TlsFiles {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
}

/** A path, and the variable or key that names it. */
interface GivenFile {
  readonly path: string | undefined
  readonly name: string
}

/**
 * Returns null if no file is configured. Throws SyncError configuration if a file is missing or has the wrong content,
 * if only one of certificate and key is given, or if they do not match.
 */
export function tlsFiles(given: { readonly [K in keyof TlsFiles]?: GivenFile }): TlsFiles | null {
  const paths = { ca: given.ca?.path ?? null, cert: given.cert?.path ?? null, key: given.key?.path ?? null }
  if (given.ca) checkCertificates(given.ca)
  if (given.cert) checkCertificates(given.cert)
  checkPair(given.cert, given.key)
  return paths.ca === null && paths.cert === null ? null : paths
}

function checkPair(cert: GivenFile | undefined, key: GivenFile | undefined): void {
  if (cert?.path === undefined && key?.path === undefined) return
  if (cert === undefined || key?.path === undefined)
    throw fault(`${cert?.name}: given without ${key?.name}, expected both`)
  if (cert.path === undefined) throw fault(`${key.name}: given without ${cert.name}, expected both`)
  const files = { cert: content(cert), key: content(key) }
  try {
    createSecureContext(files)
  } catch {
    throw fault(
      `${key.name}: ${key.path} is not the key of ${cert.path}, expected a private key without a passphrase (PEM)`,
    )
  }
}

function checkCertificates(file: GivenFile): void {
  if (file.path === undefined) return
  try {
    new X509Certificate(content(file))
  } catch (error) {
    if (error instanceof Error && error.name === 'SyncError') throw error
    throw fault(`${file.name}: ${file.path} holds no certificate, expected PEM`)
  }
}

/** Reads regular files only: a pipe would block the program. */
function content({ path = '', name }: GivenFile): Buffer {
  try {
    if (statSync(path).isFile()) return readFileSync(path)
  } catch {
    // reported below, like a path that is not a regular file
  }
  throw fault(`${name}: ${path} cannot be read, expected a file`)
}
