import { AddressRefused, parsePlace, parseServerUrl, type Place, type ServerAddress } from '@mylab-sync/core'
import { fault } from './fault.js'
import { type GivenTls, named as namedValue } from './tls.js'

export const SOURCE_SCHEMES = ['mysql', 'mariadb'] as const
export const TARGET_SCHEMES = ['postgres', 'postgresql'] as const
const REDIS_SCHEMES = ['redis', 'rediss'] as const
/** A socket in the file system; none of these says more than the others. */
const REDIS_SOCKET_SCHEMES: readonly string[] = ['redis+unix', 'redis+socket', 'unix']
const REDIS_PORT = 6379

/** What a URL says; empty where there is none. */
export type Address = Place & Pick<ServerAddress, 'user' | 'password' | 'database'>

/** Parses by `parse`; what it refuses is a fault of the variable or option `name`, and quotes nothing. */
function named<T>(name: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof AddressRefused) throw fault(`${name}: ${error.message}`)
    throw error
  }
}

export function placeOf(text: string | undefined, name: string): Place {
  return text === undefined ? {} : named(name, () => parsePlace(text))
}

function parsed(url: string, name: string, schemes: readonly string[]): ServerAddress {
  const address = named(name, () => parseServerUrl(url))
  if (schemes.includes(address.scheme)) return address
  throw fault(`${name}: not a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`)
}

/** What parameters of a URL say of encryption, each as the server's own programs name it. */
type TlsParameters = Readonly<Record<keyof GivenTls, string>>
const OF_MYSQL: TlsParameters = { mode: 'ssl-mode', rootCert: 'ssl-ca', cert: 'ssl-cert', key: 'ssl-key' }
const OF_LIBPQ: TlsParameters = { mode: 'sslmode', rootCert: 'sslrootcert', cert: 'sslcert', key: 'sslkey' }

function tlsIn({ parameters }: ServerAddress, name: string, names: TlsParameters): GivenTls {
  const given = (part: keyof GivenTls): GivenTls[keyof GivenTls] =>
    namedValue(parameters.findLast(([each]) => each === names[part])?.[1], `${name}: ${names[part]}`)
  return { mode: given('mode'), rootCert: given('rootCert'), cert: given('cert'), key: given('key') }
}

function isOfTls(parameter: string, names: TlsParameters): boolean {
  return Object.values(names).includes(parameter)
}

export interface SourceUrl extends Address {
  readonly tls?: GivenTls
}

export function sourceAddress(url: string | undefined, name: string): SourceUrl {
  if (url === undefined) return {}
  const address = parsed(url, name, SOURCE_SCHEMES)
  const sockets = ['socket', 'socketPath', 'unix_socket']
  let { socket } = address
  for (const [parameter, value] of address.parameters) {
    if (isOfTls(parameter, OF_MYSQL)) continue
    if (!sockets.includes(parameter) || !value.startsWith('/'))
      throw fault(
        `${name}: found ${shownParameter(parameter)}=[secret], expected nothing but socket=PATH, ssl-mode=MODE, ssl-ca=FILE, ssl-cert=FILE or ssl-key=FILE after the database`,
      )
    socket = value
  }
  const place = withoutExtras({ ...address, ...(socket === undefined ? {} : { socket }) })
  return { ...place, tls: tlsIn(address, name, OF_MYSQL) }
}

export interface TargetUrl extends Address {
  readonly tls?: GivenTls
  readonly schema?: string
}

/** `schema`, and libpq's `host`, `port` and those of encryption after the question mark; another parameter would be lost without a word. */
export function targetAddress(url: string | undefined, name: string): TargetUrl {
  if (url === undefined) return {}
  const address = parsed(url, name, TARGET_SCHEMES)
  let found: TargetUrl = { ...withoutExtras(address), tls: tlsIn(address, name, OF_LIBPQ) }
  for (const [parameter, value] of address.parameters) {
    if (parameter === 'schema') found = { ...found, schema: value }
    else if (parameter === 'host') found = { ...found, ...placeOf(value, name) }
    else if (parameter === 'port') found = { ...found, ...placeOf(`host:${value}`, name), ...hostOf(found) }
    // Other values are not quoted: `password=...` is how some drivers take one.
    else if (!isOfTls(parameter, OF_LIBPQ))
      throw fault(
        `${name}: found ${shownParameter(parameter)}=[secret], expected schema=NAME, host=PLACE, port=NUMBER, sslmode=MODE, sslrootcert=FILE, sslcert=FILE or sslkey=FILE`,
      )
  }
  return found
}

/** Names of parameters are words; anything else may be a piece of a password. */
function shownParameter(name: string): string {
  return /^[a-z]+([_-][a-z]+)*$/.test(name) && name.length <= 24 ? name : '[another text]'
}

function hostOf({ host }: Place): Place {
  return host === undefined ? {} : { host }
}

function withoutExtras({ host, port, socket, user, password, database }: ServerAddress): Address {
  return {
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(socket === undefined ? {} : { socket }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(database === undefined ? {} : { database }),
  }
}

type Account = Pick<ServerAddress, 'user' | 'password'>

/**
 * The one form in which the rest of the program knows a Redis: `redis://`, `rediss://`, or `redis+unix://` with a path. What
 * the URL leaves out of user and password is the given account's.
 */
export function redisUrlOf(url: string, name: string, account: Account = {}): string {
  const known = [...REDIS_SCHEMES, ...REDIS_SOCKET_SCHEMES]
  const address = parsed(url.startsWith('/') ? `unix:${url}` : url, name, known)
  const db = redisDatabase(address, name)
  const login = accountText({ ...account, ...address })
  if (REDIS_SOCKET_SCHEMES.includes(address.scheme) || address.socket !== undefined) {
    const path = address.socket ?? (address.database === undefined ? undefined : `/${address.database}`)
    if (path === undefined) throw fault(`${name}: names no socket, expected its path after redis+unix://`)
    return redisSocketUrl(path, login, db)
  }
  const port = address.port === undefined ? '' : `:${address.port}`
  return `${address.scheme}://${login}${inUrl(address.host ?? '127.0.0.1')}${port}${db === null ? '' : `/${db}`}`
}

export function redisUrlAt(
  { host, port, socket }: Place,
  { encrypted, ...account }: Account & { readonly encrypted: boolean },
): string {
  const login = accountText(account)
  if (socket !== undefined) return redisSocketUrl(socket, login, null)
  return `${encrypted ? 'rediss' : 'redis'}://${login}${inUrl(host ?? '127.0.0.1')}:${port ?? REDIS_PORT}`
}

function redisSocketUrl(path: string, account: string, db: string | null): string {
  return `redis+unix://${account}${path.split('/').map(encodeURIComponent).join('/')}${db === null ? '' : `?db=${db}`}`
}

/** The number of a database, behind the place or, of a socket, behind the question mark. */
function redisDatabase({ scheme, socket, database, parameters }: ServerAddress, name: string): string | null {
  let found = REDIS_SOCKET_SCHEMES.includes(scheme) && socket === undefined ? undefined : database
  for (const [parameter, value] of parameters) {
    if (parameter !== 'db')
      throw fault(`${name}: found ${shownParameter(parameter)}=[secret], expected nothing but db=NUMBER`)
    found = value
  }
  if (found === undefined || found === '') return null
  if (/^\d{1,5}$/.test(found)) return found
  throw fault(`${name}: found another database than a number`)
}

function accountText({ user = '', password = '' }: Account): string {
  if (user === '' && password === '') return ''
  return `${encodeURIComponent(user)}${password === '' ? '' : `:${encodeURIComponent(password)}`}@`
}

/** With its brackets, and its zone as a URL has it. */
function inUrl(host: string): string {
  return host.includes(':') ? `[${host.replace('%', '%25')}]` : host
}
