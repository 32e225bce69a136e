import { TLS_MODES, type TlsMode, type TlsSettings } from '@mylab-sync/core'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { Env } from './environment.js'
import { fault } from './fault.js'
import type { File } from './file.js'

/** A value, and where somebody who has to change it finds it. */
interface Named {
  readonly value: string
  readonly name: string
}

/** What one place says of a line; undefined: nothing. */
export interface GivenTls {
  readonly mode?: Named | undefined
  readonly rootCert?: Named | undefined
  readonly cert?: Named | undefined
  readonly key?: Named | undefined
}

/** As the mysql client spells them: https://dev.mysql.com/doc/refman/9.7/en/connection-options.html#option_general_ssl-mode */
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

/** MYSQL_ATTR_SSL_CA: its name in an application of Laravel's. */
export function sourceTls(env: Env, url: GivenTls | undefined, file: NonNullable<File['source']>): TlsSettings {
  const variables: GivenTls = {
    mode: named(env['DB_SSLMODE'], 'environment: DB_SSLMODE'),
    rootCert:
      named(env['DB_SSLROOTCERT'], 'environment: DB_SSLROOTCERT') ??
      named(env['MYSQL_ATTR_SSL_CA'], 'environment: MYSQL_ATTR_SSL_CA'),
    cert: named(env['DB_SSLCERT'], 'environment: DB_SSLCERT'),
    key: named(env['DB_SSLKEY'], 'environment: DB_SSLKEY'),
  }
  return tlsOf([variables, url ?? {}, inFile(file, 'source')], true)
}

export function targetTls(env: Env, url: GivenTls | undefined, file: NonNullable<File['target']>): TlsSettings {
  const variables: GivenTls = {
    mode: named(env['PGSQL_SSLMODE'], 'environment: PGSQL_SSLMODE'),
    rootCert: named(env['PGSQL_SSLROOTCERT'], 'environment: PGSQL_SSLROOTCERT'),
    cert: named(env['PGSQL_SSLCERT'], 'environment: PGSQL_SSLCERT'),
    key: named(env['PGSQL_SSLKEY'], 'environment: PGSQL_SSLKEY'),
  }
  const older: GivenTls = { mode: named(file.sslmode, 'target.sslmode') }
  return tlsOf([variables, url ?? {}, inFile(file, 'target'), older], false)
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

/** The mode's own name, or null. MySQL's spellings count where `mysql` is true. */
function modeOf(text: string, mysql: boolean): TlsMode | null {
  const given = text.toLowerCase()
  return TLS_MODES.find((mode) => mode === given) ?? (mysql ? (OF_MYSQL[given] ?? null) : null)
}

/** The strongest place first. Throws SyncError configuration; no file's content is quoted. */
function tlsOf(places: readonly GivenTls[], mysql: boolean): TlsSettings {
  const found = (part: keyof GivenTls): Named | undefined =>
    places.map((place) => place[part]).find((each) => each !== undefined)
  const [rootCert, cert, key] = [found('rootCert'), found('cert'), found('key')]
  if (rootCert !== undefined) checkCertificate(rootCert)
  if (cert !== undefined || key !== undefined) checkPair(cert, key)
  return {
    mode: meantMode(found('mode'), { hasRootCert: rootCert !== undefined, mysql }),
    rootCert: rootCert?.value ?? null,
    cert: cert?.value ?? null,
    key: key?.value ?? null,
  }
}

interface ModeFacts {
  readonly hasRootCert: boolean
  readonly mysql: boolean
}

/** Who names an authority wants it to be asked; libpq's `require` asks it too. */
function meantMode(given: Named | undefined, { hasRootCert, mysql }: ModeFacts): TlsMode {
  if (given === undefined) return hasRootCert ? 'verify-full' : 'prefer'
  const mode = modeOf(given.value, mysql)
  if (mode === null)
    throw fault(
      `${given.name}: found ${shown(given.value)}, expected disable, prefer, require, verify-ca or verify-full`,
    )
  return mode === 'require' && hasRootCert ? 'verify-ca' : mode
}

/** A part of a URL may be anything, a password's rest among it. */
function shown(text: string): string {
  return /^[\w-]{1,20}$/.test(text) ? text : '[another text]'
}

function checkPair(cert: Named | undefined, key: Named | undefined): void {
  if (cert === undefined) throw fault(`${key?.name}: a key without its certificate, expected both or neither`)
  if (key === undefined) throw fault(`${cert.name}: a certificate without its key, expected both or neither`)
  const certificate = checkCertificate(cert)
  const privateKey = parsed(key, 'a private key in PEM without a passphrase', createPrivateKey)
  if (!certificate.checkPrivateKey(privateKey))
    throw fault(`${key.name}: ${key.value} is the key of another certificate than ${cert.value}`)
}

function checkCertificate(file: Named): X509Certificate {
  return parsed(file, 'a certificate in PEM', (text) => new X509Certificate(text))
}

/** The driver would say nothing of a file that holds no certificate, and trust nobody. */
function parsed<T>(file: Named, expected: string, parse: (text: Buffer) => T): T {
  const text = content(file)
  try {
    return parse(text)
  } catch {
    throw fault(`${file.name}: ${file.value} holds something else, expected ${expected}`)
  }
}

function content({ value, name }: Named): Buffer {
  try {
    // Opening a pipe would wait for whoever writes into it.
    if (statSync(value).isFile()) return readFileSync(value)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw fault(`${name}: ${value}: no such file, expected a readable file`)
    throw fault(`${name}: ${value}: cannot be read, expected a readable file`)
  }
  throw fault(`${name}: ${value}: no file, expected a readable file`)
}
