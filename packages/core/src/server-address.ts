/** Where a server listens: a host and an optional port, or a Unix socket (for PostgreSQL its directory). */
export interface Place {
  readonly host?: string
  readonly port?: number
  readonly socket?: string
}

export interface ServerAddress extends Place {
  /** Lower case, without the colon. */
  readonly scheme: string
  readonly user?: string
  readonly password?: string
  readonly database?: string
  readonly parameters: readonly (readonly [name: string, value: string])[]
}

/** Why a text is not an address. The message quotes none of it, since any part may be a password. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

const MAX_PORT = 65_535
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/
/** Host names as in DNS and hosts files, in any alphabet; underscores are common in containers. */
const NAME = /^[\p{L}\p{N}_]([\p{L}\p{N}_.-]*[\p{L}\p{N}_.])?$/u

/**
 * Parses a host from a variable, an option or a URL: a name, an IPv4 address, or an IPv6 address with or without brackets and
 * zone, each with an optional port; or a socket's path, plain, as `unix:` or percent-encoded.
 */
export function parsePlace(text: string): Place {
  const socket = socketOf(text)
  if (socket !== null) return { socket }
  const [, bracketed, afterBrackets] = /^\[([^\]]*)\](?::(.*))?$/.exec(text) ?? []
  if (bracketed !== undefined) return { host: ipv6(bracketed), ...portOf(afterBrackets) }
  if (text.split(':').length > 2) return { host: ipv6(text) }
  const [host = '', port] = text.split(':')
  return { host: named(host), ...portOf(port) }
}

/** Parses `scheme://user:password@place/database?name=value`. Parts are percent-encoded where necessary, except the place's brackets. */
export function parseServerUrl(url: string): ServerAddress {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(url.trim()) ?? []
  if (scheme === '') throw new AddressRefused('not a URL')
  // `unix:/path` has no authority part.
  const [, authority = '', path = '', query = ''] = /^(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?/s.exec(rest) ?? []
  refuseUnescapedSigns(rest, authority)
  const at = authority.lastIndexOf('@')
  const place = authority.slice(at + 1)
  return {
    scheme: scheme.toLowerCase(),
    ...account(authority.slice(0, Math.max(0, at))),
    ...(place === '' ? {} : parsePlace(place)),
    ...(path.length > 1 ? { database: decoded(path.slice(1)) } : {}),
    parameters: query === '' ? [] : query.split('&').map(parameter),
  }
}

/** An unescaped `/`, `?` or `#` in a password ends the authority before its `@`; messages would then show the rest as a database or parameter. */
function refuseUnescapedSigns(rest: string, authority: string): void {
  const after = rest.startsWith('//') ? rest.slice(2 + authority.length) : ''
  if (after.includes('@'))
    throw new AddressRefused(
      'an @ after a /, ? or #, expected %2F, %3F or %23 for such a character in a user or password',
    )
  if (rest.includes('#')) throw new AddressRefused('a # in it, expected %23 for a literal #')
}

/** For display: IPv6 in brackets before its port, a socket as its path. */
export function placeText(host: string, port: number): string {
  if (host.startsWith('/')) return host
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

function account(text: string): Pick<ServerAddress, 'user' | 'password'> {
  const colon = text.indexOf(':')
  const user = decoded(colon < 0 ? text : text.slice(0, colon))
  const password = colon < 0 ? '' : decoded(text.slice(colon + 1))
  return { ...(user === '' ? {} : { user }), ...(password === '' ? {} : { password }) }
}

function parameter(text: string): readonly [string, string] {
  const [name = '', ...value] = text.split('=')
  return [decoded(name), decoded(value.join('='))]
}

function socketOf(text: string): string | null {
  const path = text.replace(/^unix:(?:\/\/(?=\/))?/i, '')
  if (path.startsWith('/')) return path
  return /^%2f/i.test(path) ? decoded(path) : null
}

/** With its zone after a `%`, which URLs write as `%25`. */
function ipv6(text: string): string {
  const [, address = '', zone] = /^([^%]*)(?:%(?:25)?(.+))?$/.exec(text) ?? []
  if (!isIpv6(address)) throw new AddressRefused('not an IPv6 address between the brackets or colons of the host')
  return zone === undefined ? address : `${address}%${zone}`
}

/** Groups of up to four digits, one `::` for any number of zero groups, and optionally an IPv4 address at the end. */
function isIpv6(text: string): boolean {
  const mapped = /^(.*:)(\d{1,3}(?:\.\d{1,3}){3})$/.exec(text)
  if (mapped !== null) return isIpv4(mapped[2] ?? '') && isIpv6(`${mapped[1] ?? ''}0:0`)
  const halves = text.split('::')
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')))
  if (halves.length > 2 || !groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return false
  return halves.length === 2 ? groups.length < 8 : groups.length === 8
}

function isIpv4(text: string): boolean {
  return IPV4.test(text) && text.split('.').every((part) => Number(part) <= 255)
}

function named(host: string): string {
  const isAddress = /^[\d.]+$/.test(host) ? isIpv4(host) : NAME.test(host)
  if (!isAddress) throw new AddressRefused('the host is not a name, an IPv4 or IPv6 address, or the path of a socket')
  return host
}

function portOf(text: string | undefined): Pick<Place, 'port'> {
  if (text === undefined) return {}
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > MAX_PORT) throw new AddressRefused(`the port is invalid, expected 1 to ${MAX_PORT}`)
  return { port }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new AddressRefused('a % without two hex digits after it, expected %25 for a literal %')
  }
}
