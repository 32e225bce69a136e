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
 * For the driver, which reads these options anew for each connection: a replaced file is used by the next one. While a file
 * is away, or half of a pair is replaced, the last good ones count, since an error here would end the driver's reconnecting
 * for good. Throws what reading or parsing throws where the files are unusable from the beginning.
 */
export function credentials(files: CredentialFiles | null): TlsOptions {
  let last = read(files)
  return {
    // said, since NODE_TLS_REJECT_UNAUTHORIZED=0 would switch it off
    rejectUnauthorized: true,
    get secureContext() {
      try {
        last = read(files)
      } catch {
        // The configuration checks the files at each start; here the server's answer to the older ones tells more.
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
