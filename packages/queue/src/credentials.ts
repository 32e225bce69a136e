import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContext } from 'node:tls'

/** Paths of PEM files. */
export interface CredentialFiles {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
}

export interface TlsOptions {
  readonly rejectUnauthorized: true
  readonly secureContext: SecureContext
}

/**
 * TLS options for the driver, which reads them again for each connection, so a replaced file takes effect at the next
 * one. While a file is missing, or only half of a pair is replaced, the last good pair is used: an error here would
 * stop the driver from reconnecting for good. Throws the error of reading or parsing if the files are unusable at the
 * start.
 */
export function credentials(files: CredentialFiles | null): TlsOptions {
  let last = read(files)
  return {
    // set explicitly, since NODE_TLS_REJECT_UNAUTHORIZED=0 would switch it off
    rejectUnauthorized: true,
    get secureContext() {
      try {
        last = read(files)
      } catch {
        // The configuration checks the files at each start; here, the server's response to the old pair is more
        // informative.
      }
      return last
    },
  }
}

function read(files: CredentialFiles | null): SecureContext {
  const { ca = null, cert = null, key = null } = files ?? {}
  return createSecureContext({
    ...(ca === null ? {} : { ca: readFileSync(ca) }),
    ...(cert === null ? {} : { cert: readFileSync(cert) }),
    ...(key === null ? {} : { key: readFileSync(key) }),
  })
}
