import { connect } from 'node:net'
import type { ServiceKind } from './service.js'

const ANSWER_MS = 2000

export const REDIS: ServiceKind = {
  name: 'redis',
  title: 'Redis',
  programs: ['redis-server', 'redis-check-rdb'].map((file) => ({ file, calledAs: 'redis-server' })),
  besides: [],
  version: /Redis server v=([\d.]+)/,
  stopSignal: 'SIGTERM',

  initialise: () => Promise.resolve(),

  // Like the other two servers here, an append-only file without fsync loses nothing when the process is killed.
  serverArguments({ folder, port, durable, extraArguments }) {
    const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', `${folder}/data`]
    const persistence = ['--save', '', '--appendonly', 'yes', '--appendfsync', durable ? 'always' : 'no']
    return [...place, ...persistence, '--maxmemory-policy', 'noeviction', ...extraArguments]
  },

  async answers({ folder, port }) {
    const answer = await ask(port, 'CONFIG GET dir')
    return answer.split('\r\n').includes(`${folder}/data`)
  },
}

/** Sends one command and returns the first data received, which is enough for short answers. */
function ask(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: ANSWER_MS })
    socket.once('connect', () => socket.write(`${command}\r\n`))
    socket.once('data', (data: Buffer) => {
      socket.destroy()
      resolve(data.toString())
    })
    socket.once('timeout', () => socket.destroy(new Error(`Redis gave no answer within ${ANSWER_MS} ms`)))
    socket.once('error', reject)
    socket.once('end', () => reject(new Error('Redis closed the connection')))
  })
}
