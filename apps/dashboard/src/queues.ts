import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { ExpressAdapter } from '@bull-board/express'
import type { RequestHandler } from 'express'
import type { BoardQueue } from './options.js'

/** Bull Board, which refuses every change by itself (405), and says nothing about the Redis server. */
export function queueBoard(queues: readonly BoardQueue[]): RequestHandler {
  const serverAdapter = new ExpressAdapter()
  serverAdapter.setBasePath('/queues')
  createBullBoard({
    queues: queues.map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
    serverAdapter,
    options: { uiConfig: { boardTitle: 'MyLab Sync', hideRedisDetails: true } },
  })
  return serverAdapter.getRouter() as RequestHandler
}
