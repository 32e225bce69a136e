import { fault } from './fault.js'

export interface Address {
  readonly host?: string
  readonly port?: number
  readonly user?: string
  readonly password?: string
  readonly database?: string
}

export const SOURCE_SCHEMES = ['mysql:', 'mariadb:'] as const
export const TARGET_SCHEMES = ['postgres:', 'postgresql:'] as const
export const REDIS_SCHEMES = ['redis:', 'rediss:'] as const

/** Throws a fault that quotes nothing of the URL: a password may stand anywhere in it. */
export function checkUrl(url: string, name: string, schemes: readonly string[]): void {
  if (!URL.canParse(url) || !schemes.includes(new URL(url).protocol))
    throw fault(`${name}: not a URL that begins with ${schemes.map((s) => `${s}//`).join(' or ')}`)
  const { username, password, pathname } = new URL(url)
  if (/%(?![0-9a-f]{2})/i.test(username + password + pathname))
    throw fault(`${name}: a % without two hex digits after it, expected %25 for the sign itself`)
}

export function addressOf(url: string | undefined, name: string, schemes: readonly string[]): Address {
  if (url === undefined) return {}
  checkUrl(url, name, schemes)
  const { hostname, port: number, username, password, pathname } = new URL(url)
  return {
    host: hostname,
    ...(number === '' ? {} : { port: Number(number) }),
    ...(username === '' ? {} : { user: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    ...(pathname.length > 1 ? { database: decodeURIComponent(pathname.slice(1)) } : {}),
  }
}

/** `sslmode` and `schema` after the question mark; another parameter would be lost without a word. */
export function targetParameters(
  url: string | undefined,
  name: string,
): { sslmode?: 'disable' | 'require'; schema?: string } {
  const found: { sslmode?: 'disable' | 'require'; schema?: string } = {}
  if (url === undefined) return found
  for (const [parameter, value] of new URL(url).searchParams) {
    if (parameter === 'schema') found.schema = value
    else if (parameter === 'sslmode' && (value === 'disable' || value === 'require')) found.sslmode = value
    else
      throw fault(`${name}: found ${shown(parameter, value)}, expected schema=NAME, sslmode=disable or sslmode=require`)
  }
  return found
}

export function refuseParameters(url: string | undefined, name: string): void {
  if (url === undefined) return
  for (const [parameter, value] of new URL(url).searchParams)
    throw fault(`${name}: found ${shown(parameter, value)}, expected nothing after the database`)
}

/** Other values are not quoted: `password=...` is how some drivers take one. */
function shown(parameter: string, value: string): string {
  return `${parameter}=${parameter === 'sslmode' ? value : '[secret]'}`
}
