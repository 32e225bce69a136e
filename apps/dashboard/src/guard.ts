import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { addressOf, LogIns } from './log-ins.js'
import type { DashboardOptions } from './options.js'

/** Answers without a password: they say one word each, and whoever asks them (a kubelet) holds no secret. */
export const PROBES: ReadonlySet<string> = new Set(['/healthz', '/readyz'])

const UNSEEN_TOLD_MS = 10_000
/** Nothing that is asked for here has a body; the board's own reader takes up to 100 kB. */
const LARGEST_BODY = 16_384

const STRICT = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
]

/** `base-uri` is that of the strict policy but below /queues, whose page names its folder in a <base>. */
export const securityHeaders: RequestHandler = (request, response, next) => {
  const board = request.path === '/queues' || request.path.startsWith('/queues/')
  response.set({
    'Content-Security-Policy': [...STRICT, `base-uri ${board ? "'self'" : "'none'"}`].join('; '),
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Cache-Control': 'no-store',
  })
  next()
}

/**
 * Without a password the loopback address is the only lock, and a foreign page can open it by pointing a name of its own
 * at 127.0.0.1: so the name that the browser believes to talk to has to be this machine's.
 */
export function requireLocalName(options: Pick<DashboardOptions, 'password'>): RequestHandler {
  return (request, response, next) => {
    if (options.password !== null || isLocalName(request.headers.host)) return next()
    refuse(response, 403, 'without a password this page answers to localhost only')
  }
}

function isLocalName(host: string | undefined): boolean {
  const name = (host ?? '').replace(/:\d+$/, '')
  return name === 'localhost' || name === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(name)
}

/**
 * Browsers send the password by themselves, whoever's page asks. A request that another site caused is refused, but for
 * following a link to the page itself, which changes nothing.
 */
export const refuseCrossSite: RequestHandler = (request, response, next) => {
  if (isCrossSite(request) && !followsLink(request)) return refuse(response, 403, 'refused: caused by another site')
  next()
}

function isCrossSite(request: Request): boolean {
  const site = request.headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true
  const { origin, host } = request.headers
  // `null` is the origin of sandboxed frames and of local files: nothing of ours.
  return origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host)
}

function followsLink({ method, path, headers }: Request): boolean {
  return (
    method === 'GET' &&
    path === '/' &&
    headers.origin === undefined &&
    headers['sec-fetch-mode'] === 'navigate' &&
    headers['sec-fetch-dest'] === 'document'
  )
}

/**
 * HTTP Basic. Hashes are compared, both in full, so that the time taken says nothing about user, password or their lengths.
 * Each wrong one is told with its address, and slows the next one down.
 */
export function requirePassword({
  user,
  password,
  warn,
}: Pick<DashboardOptions, 'user' | 'password' | 'warn'>): RequestHandler {
  const expected = password === null ? null : { user: digest(user), password: digest(password) }
  const logIns = new LogIns()
  const unseen = new Unseen()
  return async (request: Request, response: Response, next: NextFunction) => {
    if (expected === null || PROBES.has(request.path)) return next()
    const given = credentials(request.headers.authorization)
    if (given === null) return refuseLogIn(response)
    const address = addressOf(request.socket)
    const waitMs = logIns.turn(address)
    if (waitMs === null) {
      unseen.add((attempts) => warn?.({ address, attempts }, 'dashboard: log-ins not looked at, too many were wrong'))
      return refuse(response.set('Retry-After', '10'), 429, 'too many wrong passwords: wait some seconds')
    }
    if (waitMs > 0) await setTimeout(waitMs)
    const sameUser = timingSafeEqual(digest(given.user), expected.user)
    const samePassword = timingSafeEqual(digest(given.password), expected.password)
    if (sameUser && samePassword) {
      logIns.right(address)
      return next()
    }
    warn?.({ address }, 'dashboard: refused log-in')
    refuseLogIn(response)
  }
}

function refuseLogIn(response: Response): void {
  response.set('WWW-Authenticate', 'Basic realm="mylab-sync", charset="UTF-8"')
  refuse(response, 401, 'a user name and a password are needed')
}

/** Who sends thousands a second must not fill a disk with lines. */
class Unseen {
  #count = 0
  #toldAt = Number.NEGATIVE_INFINITY

  add(tell: (attempts: number) => void): void {
    this.#count += 1
    if (performance.now() - this.#toldAt < UNSEEN_TOLD_MS) return
    tell(this.#count)
    this.#toldAt = performance.now()
    this.#count = 0
  }
}

/** Null where there are none, as in a browser's first request, or none of this kind. */
function credentials(header: string | undefined): { user: string; password: string } | null {
  const [, encoded = ''] = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(header ?? '') ?? []
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 0 ? null : { user: text.slice(0, colon), password: text.slice(colon + 1) }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest()
}

/** After the password: who has none gets no byte of a body read, and who has one no large one. */
export const refuseBodies: RequestHandler = (request, response, next) => {
  if (bodyBytes(request) <= LARGEST_BODY) return next()
  refuse(response, 413, `a body of more than ${LARGEST_BODY} bytes is not read`)
}

/** As announced; of unknown length: infinite. */
function bodyBytes({ headers }: IncomingMessage): number {
  if (headers['transfer-encoding'] !== undefined) return Number.POSITIVE_INFINITY
  return Number(headers['content-length'] ?? 0)
}

/** One secret a process, that only a page of our own origin can read and that no form can send as a header. */
export class ActionToken {
  readonly value = randomBytes(32).toString('base64url')

  readonly require: RequestHandler = (request, response, next) => {
    const given = request.headers['x-mylab-token']
    const same = timingSafeEqual(digest(typeof given === 'string' ? given : ''), digest(this.value))
    if (same) return next()
    refuse(response, 403, 'refused: the request carries no valid token; load the page again')
  }
}

/** What is refused is not read to its end, which node does for the next request on the connection: there is none. */
export function refuse(response: Response, status: number, message: string): void {
  if (bodyBytes(response.req) > 0) response.set('Connection', 'close')
  response.status(status).json({ error: message })
}
