import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { ExpressAdapter } from '@bull-board/express'
import type { RequestHandler } from 'express'
import type { BoardQueue } from './options.js'

const ICON = '/assets/icon.svg'
const LOOKS = {
  boardTitle: 'MyLab Sync',
  boardLogo: { path: ICON, width: 24, height: 24 },
  favIcon: { default: ICON, alternative: ICON },
  /** The link back to our own page. */
  miscLinks: [{ text: 'Status', url: '/' }],
  hideDocsLink: true,
  hideRedisDetails: true,
} as const

/** Bull Board in read-only mode: it answers 405 to every change and shows nothing about the Redis server. */
export function queueBoard(queues: readonly BoardQueue[]): RequestHandler {
  const serverAdapter = new ExpressAdapter()
  serverAdapter.setBasePath('/queues')
  createBullBoard({
    queues: queues.map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
    serverAdapter,
    options: { uiConfig: { ...LOOKS, miscLinks: [...LOOKS.miscLinks] } },
  })
  return serverAdapter.getRouter() as RequestHandler
}
