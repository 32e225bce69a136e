import { SyncError } from '@mylab-sync/core'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import { fileURLToPath } from 'node:url'
import { sendCompressed } from './compressed.js'
import type { StatusFeed } from './feed.js'
import {
  ActionToken,
  refuse,
  refuseBodies,
  refuseCrossSite,
  requireLocalName,
  requirePassword,
  securityHeaders,
} from './guard.js'
import { Metrics } from './metrics.js'
import type { DashboardOptions } from './options.js'
import type { NotCarriedView, SessionView } from './page/shape.js'

const PUBLIC = fileURLToPath(new URL('../public/', import.meta.url))
/** The page's script, built next to this file. */
const PROGRAM = fileURLToPath(new URL('./page/', import.meta.url))

/** The guards come before all routes, unknown ones included, so that no later route can bypass them. */
export async function createApp(options: DashboardOptions, feed: StatusFeed): Promise<Express> {
  const app = express()
  app.disable('x-powered-by')
  app.use(securityHeaders, requireLocalName(options), requirePassword(options), refuseCrossSite, refuseBodies)
  app.use(probes(feed), pages(), status(options, feed), actions(options, feed))
  if (options.queues !== undefined) {
    // loaded lazily: the board requires bullmq, which an installation without Redis does not need
    const { queueBoard } = await import('./queues.js')
    app.use('/queues', readOnly, queueBoard(options.queues))
  }
  app.use((_request, response) => refuse(response, 404, 'no such page'))
  app.use(failed)
  return app
}

/**
 * Reports the state of this process only: an orchestrator must not restart or withdraw it because a database is down.
 */
function probes(feed: StatusFeed): RequestHandler {
  const router = express.Router()
  router.get('/healthz', (_request, response) => void response.type('text').send('ok\n'))
  router.get('/readyz', async (_request, response) => {
    if (!feed.ready) await feed.view()
    response
      .status(feed.ready ? 200 : 503)
      .type('text')
      .send(feed.ready ? 'ok\n' : 'not ready\n')
  })
  return router
}

function pages(): RequestHandler {
  const router = express.Router()
  router.get('/', (_request, response) => response.sendFile('index.html', { root: PUBLIC, cacheControl: false }))
  router.use('/assets', express.static(PUBLIC, { index: false, redirect: false, cacheControl: false }))
  const programs = express.static(PROGRAM, { index: false, redirect: false, cacheControl: false })
  router.use('/assets', (request, response, next) =>
    request.path.endsWith('.js') ? programs(request, response, next) : next(),
  )
  return router
}

function status(options: DashboardOptions, feed: StatusFeed): RequestHandler {
  const router = express.Router()
  const metrics = new Metrics()
  router.get('/api/status', async (request, response) => {
    await sendCompressed(request, response, 'application/json; charset=utf-8', JSON.stringify(await feed.view()))
  })
  router.get('/api/not-carried', async (request, response) => {
    const view: NotCarriedView = { groups: await feed.notCarried() }
    await sendCompressed(request, response, 'application/json; charset=utf-8', JSON.stringify(view))
  })
  router.get('/metrics', async (request, response) => {
    // a missing Redis must not hide the figures of the databases
    const counts = (await options.queueCounts?.().catch(() => [])) ?? []
    const text = await metrics.render(await feed.view(), counts)
    await sendCompressed(request, response, metrics.contentType, text)
  })
  return router
}

function actions(options: DashboardOptions, feed: StatusFeed): RequestHandler {
  const router = express.Router()
  const token = new ActionToken()
  const offered = Object.entries(options.actions ?? {})
  router.get('/api/session', (_request, response) => {
    const names = offered.map(([name]) => name)
    const view: SessionView = { token: token.value, actions: names, queues: options.queues !== undefined }
    response.json(view)
  })
  router.use('/api', (request, response, next) =>
    request.method === 'POST' ? token.require(request, response, next) : next(),
  )
  for (const [name, act] of offered)
    router.post(`/api/tables/:table/${name}`, async (request, response) => {
      const table = request.params['table'] as string
      const known = (await feed.view()).tables.some((each) => each.table === table)
      if (!known) return refuse(response, 404, 'no such table')
      response.json({ done: await feed.act(({ context }) => act(context, table)) })
    })
  return router
}

/** Bull Board answers 200 to "pause all" although it skips read-only queues, so only reads get through to it. */
const readOnly: RequestHandler = (request, response, next) => {
  if (request.method === 'GET' || request.method === 'HEAD') return next()
  refuse(response, 405, 'the queue board is read-only')
}

/** Sends the message of our own errors; the text of any other may quote data, so it is withheld. */
const failed: ErrorRequestHandler = (error: unknown, _request, response, next) => {
  if (response.headersSent) return next(error)
  if (error instanceof SyncError)
    return void response.status(503).json({ error: error.message, code: error.code, remedy: error.remedy })
  refuse(response, statusOf(error), statusOf(error) < 500 ? 'invalid request' : 'internal error')
}

function statusOf(error: unknown): number {
  const status = error instanceof Error && 'status' in error ? Number(error.status) : 500
  return status >= 400 && status < 500 ? status : 500
}
