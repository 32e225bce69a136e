import { AddressRefused, parsePlace, parseServerUrl, type Place, type ServerAddress } from '@mylab-sync/core'
import { fault } from './fault.js'
import { type GivenTls, named as namedValue } from './tls.js'

export const SOURCE_SCHEMES = ['mysql', 'mariadb'] as const
export const TARGET_SCHEMES = ['postgres', 'postgresql'] as const
const REDIS_SCHEMES = ['redis', 'rediss'] as const
/** Synonyms for a socket in the file system. */
const REDIS_SOCKET_SCHEMES: readonly string[] = ['redis+unix', 'redis+socket', 'unix']
const REDIS_PORT = 6379

/** The parts of a URL; those that are missing are absent. */
export type Address = Place & Pick<ServerAddress, 'user' | 'password' | 'database'>

/** Runs `parse`; turns its refusal into a fault of the variable or option `name`, without quoting the value. */
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

/** TLS parameters of a URL, by the names that the server's own client uses. */
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

/**
 * Accepts `schema` and libpq's `host`, `port` and TLS parameters; rejects any other, which would be silently ignored.
 */
export function targetAddress(url: string | undefined, name: string): TargetUrl {
  if (url === undefined) return {}
  const address = parsed(url, name, TARGET_SCHEMES)
  let found: TargetUrl = { ...withoutExtras(address), tls: tlsIn(address, name, OF_LIBPQ) }
  for (const [parameter, value] of address.parameters) {
    if (parameter === 'schema') found = { ...found, schema: value }
    else if (parameter === 'host') found = { ...found, ...placeOf(value, name) }
    else if (parameter === 'port') found = { ...found, ...placeOf(`host:${value}`, name), ...hostOf(found) }
    // The value is not quoted: some drivers take `password=...` here.
    else if (!isOfTls(parameter, OF_LIBPQ))
      throw fault(
        `${name}: found ${shownParameter(parameter)}=[secret], expected schema=NAME, host=PLACE, port=NUMBER, sslmode=MODE, sslrootcert=FILE, sslcert=FILE or sslkey=FILE`,
      )
  }
  return found
}

/** A parameter name is a plain word; anything else may be part of a password. */
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
 * Normalises a Redis address to `redis://`, `rediss://`, or `redis+unix://` with a path. User and password that the URL
 * lacks come from `account`.
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

/** The database number: in the path, or for a socket in the query. */
function redisDatabase({ scheme, socket, database, parameters }: ServerAddress, name: string): string | null {
  let found = REDIS_SOCKET_SCHEMES.includes(scheme) && socket === undefined ? undefined : database
  for (const [parameter, value] of parameters) {
    if (parameter !== 'db')
      throw fault(`${name}: found ${shownParameter(parameter)}=[secret], expected nothing but db=NUMBER`)
    found = value
  }
  if (found === undefined || found === '') return null
  if (/^\d{1,5}$/.test(found)) return found
  throw fault(`${name}: the database is not a number`)
}

function accountText({ user = '', password = '' }: Account): string {
  if (user === '' && password === '') return ''
  return `${encodeURIComponent(user)}${password === '' ? '' : `:${encodeURIComponent(password)}`}@`
}

/** IPv6 with brackets, and with its zone escaped as URLs require. */
function inUrl(host: string): string {
  return host.includes(':') ? `[${host.replace('%', '%25')}]` : host
}
