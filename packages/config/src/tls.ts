import { TLS_MODES, type TlsMode, type TlsSettings } from '@mylab-sync/core'
import type { Env } from './environment.js'
import { fault } from './fault.js'
import type { File } from './file.js'
import { tlsFiles } from './tls-files.js'

/** A value, and the variable or key it comes from. */
interface Named {
  readonly value: string
  readonly name: string
}

/** TLS settings from one place; undefined: not set there. */
export interface GivenTls {
  readonly mode?: Named | undefined
  readonly rootCert?: Named | undefined
  readonly cert?: Named | undefined
  readonly key?: Named | undefined
}

/** MySQL's spellings: https://dev.mysql.com/doc/refman/9.7/en/connection-options.html#option_general_ssl-mode */
const OF_MYSQL: Readonly<Record<string, TlsMode>> = {
  disabled: 'disable',
  preferred: 'prefer',
  required: 'require',
  verify_ca: 'verify-ca',
  verify_identity: 'verify-full',
}

export function named(value: string | undefined, name: string): Named | undefined {
  return value === undefined ? undefined : { value, name }
}

/** MYSQL_ATTR_SSL_CA is the name in a Laravel application. */
export function sourceTls(env: Env, url: GivenTls | undefined, file: NonNullable<File['source']>): TlsSettings {
  const variables: GivenTls = {
    mode: named(env['DB_SSLMODE'], 'environment: DB_SSLMODE'),
    rootCert:
      named(env['DB_SSLROOTCERT'], 'environment: DB_SSLROOTCERT') ??
      named(env['MYSQL_ATTR_SSL_CA'], 'environment: MYSQL_ATTR_SSL_CA'),
    cert: named(env['DB_SSLCERT'], 'environment: DB_SSLCERT'),
    key: named(env['DB_SSLKEY'], 'environment: DB_SSLKEY'),
  }
  return tlsOf([variables, url ?? {}, inFile(file, 'source')], 'DB')
}

export function targetTls(env: Env, url: GivenTls | undefined, file: NonNullable<File['target']>): TlsSettings {
  const variables: GivenTls = {
    mode: named(env['PGSQL_SSLMODE'], 'environment: PGSQL_SSLMODE'),
    rootCert: named(env['PGSQL_SSLROOTCERT'], 'environment: PGSQL_SSLROOTCERT'),
    cert: named(env['PGSQL_SSLCERT'], 'environment: PGSQL_SSLCERT'),
    key: named(env['PGSQL_SSLKEY'], 'environment: PGSQL_SSLKEY'),
  }
  const older: GivenTls = { mode: named(file.sslmode, 'target.sslmode') }
  return tlsOf([variables, url ?? {}, inFile(file, 'target'), older], 'PGSQL')
}

type TlsKeys = Pick<NonNullable<File['source']>, 'sslMode' | 'sslRootCert' | 'sslCert' | 'sslKey'>

function inFile({ sslMode, sslRootCert, sslCert, sslKey }: TlsKeys, side: 'source' | 'target'): GivenTls {
  return {
    mode: named(sslMode, `${side}.sslMode`),
    rootCert: named(sslRootCert, `${side}.sslRootCert`),
    cert: named(sslCert, `${side}.sslCert`),
    key: named(sslKey, `${side}.sslKey`),
  }
}

/** The mode that `text` spells, or null. Accepts MySQL's spellings if `mysql`. */
function modeOf(text: string, mysql: boolean): TlsMode | null {
  const given = text.toLowerCase()
  return TLS_MODES.find((mode) => mode === given) ?? (mysql ? (OF_MYSQL[given] ?? null) : null)
}

/** Merges `places`, given in order of precedence. Throws SyncError configuration; quotes no file's content. */
function tlsOf(places: readonly GivenTls[], variables: 'DB' | 'PGSQL'): TlsSettings {
  const found = (part: keyof GivenTls): Named | undefined =>
    places.map((place) => place[part]).find((each) => each !== undefined)
  const file = (part: 'rootCert' | 'cert' | 'key'): { path: string | undefined; name: string } => {
    const { value, name } = found(part) ?? {}
    return { path: value, name: name ?? `${variables}_SSL${part.toUpperCase()}` }
  }
  const files = tlsFiles({ ca: file('rootCert'), cert: file('cert'), key: file('key') })
  const rootCert = files?.ca ?? null
  const mode = meantMode(found('mode'), { hasRootCert: rootCert !== null, mysql: variables === 'DB' })
  return { mode, rootCert, cert: files?.cert ?? null, key: files?.key ?? null }
}

interface ModeFacts {
  readonly hasRootCert: boolean
  readonly mysql: boolean
}

/** Without a mode, a root certificate implies verify-full; with `require` it implies verify-ca, as in libpq. */
function meantMode(given: Named | undefined, { hasRootCert, mysql }: ModeFacts): TlsMode {
  if (given === undefined) return hasRootCert ? 'verify-full' : 'prefer'
  const mode = modeOf(given.value, mysql)
  if (mode === null)
    throw fault(
      `${given.name}: found ${shown(given.value)}, expected disable, prefer, require, verify-ca or verify-full`,
    )
  return mode === 'require' && hasRootCert ? 'verify-ca' : mode
}

/** Part of a URL may be anything, even the rest of a password. */
function shown(text: string): string {
  return /^[\w-]{1,20}$/.test(text) ? text : '[another text]'
}
