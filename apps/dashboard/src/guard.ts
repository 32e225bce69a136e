import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { addressOf, LogIns } from './log-ins.js'
import type { DashboardOptions } from './options.js'

/** Served without a password: each answers one word, and a kubelet that asks holds no secret. */
export const PROBES: ReadonlySet<string> = new Set(['/healthz', '/readyz'])

const LOG_INTERVAL_MS = 10_000
/** No route expects a body; the board's own parser takes up to 100 kB. */
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

/** Allows `base-uri 'self'` below /queues only, where the board's page sets a <base>. */
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
 * Without a password, binding to loopback is the only protection, and a foreign page can defeat it by pointing its own
 * domain at 127.0.0.1 (DNS rebinding). So the Host header must name this machine.
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
 * Refuses cross-site requests, since a browser attaches the password to any page's request. Following a link to `/` is
 * allowed: it changes nothing.
 */
export const refuseCrossSite: RequestHandler = (request, response, next) => {
  if (isCrossSite(request) && !followsLink(request)) return refuse(response, 403, 'refused: cross-site request')
  next()
}

function isCrossSite(request: Request): boolean {
  const site = request.headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true
  const { origin, host } = request.headers
  // `null` is the origin of sandboxed frames and local files, never of our page.
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
 * HTTP Basic. Compares both hashes in constant time, so that timing reveals nothing about user, password or their
 * lengths. Logs the address of each failed attempt, which also slows down the next.
 */
export function requirePassword({
  user,
  password,
  warn,
}: Pick<DashboardOptions, 'user' | 'password' | 'warn'>): RequestHandler {
  const expected = password === null ? null : { user: digest(user), password: digest(password) }
  const logIns = new LogIns()
  const rejected = new RejectedAttempts()
  return async (request: Request, response: Response, next: NextFunction) => {
    if (expected === null || PROBES.has(request.path)) return next()
    const given = credentials(request.headers.authorization)
    if (given === null) return refuseLogIn(response)
    const address = addressOf(request.socket)
    const waitMs = logIns.turn(address)
    if (waitMs === null) {
      rejected.add((attempts) =>
        warn?.({ address, attempts }, 'dashboard: log-ins rejected unchecked, too many wrong passwords'),
      )
      return refuse(response.set('Retry-After', '10'), 429, 'too many wrong passwords: wait a few seconds')
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
  refuse(response, 401, 'user name and password required')
}

/** Counts rejected attempts and logs them at intervals, so that thousands per second cannot fill a disk. */
class RejectedAttempts {
  #count = 0
  #loggedAt = Number.NEGATIVE_INFINITY

  add(log: (attempts: number) => void): void {
    this.#count += 1
    if (performance.now() - this.#loggedAt < LOG_INTERVAL_MS) return
    log(this.#count)
    this.#loggedAt = performance.now()
    this.#count = 0
  }
}

/** Null if the header is missing, as in a browser's first request, or uses another scheme. */
function credentials(header: string | undefined): { user: string; password: string } | null {
  const [, encoded = ''] = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(header ?? '') ?? []
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 0 ? null : { user: text.slice(0, colon), password: text.slice(colon + 1) }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest()
}

/** Comes after the password check: without the password no byte of a body is read, with it no large one. */
export const refuseBodies: RequestHandler = (request, response, next) => {
  if (bodyBytes(request) <= LARGEST_BODY) return next()
  refuse(response, 413, `bodies above ${LARGEST_BODY} bytes are refused`)
}

/** The announced length; infinite if unknown. */
function bodyBytes({ headers }: IncomingMessage): number {
  if (headers['transfer-encoding'] !== undefined) return Number.POSITIVE_INFINITY
  return Number(headers['content-length'] ?? 0)
}

/** One secret per process. Only a page of our own origin can read it, and no form can send it as a header. */
export class ActionToken {
  readonly value = randomBytes(32).toString('base64url')

  readonly require: RequestHandler = (request, response, next) => {
    const given = request.headers['x-mylab-token']
    const same = timingSafeEqual(digest(typeof given === 'string' ? given : ''), digest(this.value))
    if (same) return next()
    refuse(response, 403, 'refused: the request has no valid token; reload the page')
  }
}

/**
 * Closes the connection after refusing a request with a body; otherwise node reads the body to its end to reuse the
 * connection.
 */
export function refuse(response: Response, status: number, message: string): void {
  if (bodyBytes(response.req) > 0) response.set('Connection', 'close')
  response.status(status).json({ error: message })
}
