/**
 * One life of the product for the crash test: `node crash-child.js DATABASE POINT NTH`, where to connect in CRASH_SERVERS.
 * Copies, truncates a table, heals it and drains; dies by SIGKILL when it reaches the point for the NTH time.
 */
import { CRASH_POINTS, type CrashPoint, drainAll, type EngineContext, initial, status } from '@mylab-sync/engine'
import { defaultMappingOptions } from '@mylab-sync/mapping'
import type { ServerSet } from '@mylab-sync/testkit'
import mysql from 'mysql2/promise'
import { connect } from '../support/connect.js'

const [name = '', wanted = '', nth = '1'] = process.argv.slice(2)
const servers = JSON.parse(process.env['CRASH_SERVERS'] ?? '') as Pick<ServerSet, 'source' | 'target' | 'product'>
const DRAINS = 4

let left = Number(nth)
function dieAt(point: CrashPoint): void {
  if (point === wanted && --left === 0) process.kill(process.pid, 'SIGKILL')
}
if (wanted !== '' && !CRASH_POINTS.some((point) => point === wanted)) throw new Error(`no such point: ${wanted}`)

const sides = await connect(servers, name)
const { host, port, user, password } = servers.source
const app = await mysql.createConnection({ host, port, user, password, database: name })
const context: EngineContext = {
  ...sides,
  options: {
    include: ['*'],
    exclude: [],
    mapping: defaultMappingOptions,
    batchRows: 7,
    copyConcurrency: 2,
    memoryMb: 256,
    schemaChanges: 'apply',
  },
  limits: { lastSliceKeys: 5, catchUpKeys: 20, sliceEntries: 60, snapshotMs: 0 },
  hooks: { at: async (point) => dieAt(point) },
}
try {
  const { signal } = new AbortController()
  const request = { tables: [], createTables: true, resume: false, triggers: true, force: false, takeOver: false }
  const onProgress = (event: { kind: string }): void => {
    if (event.kind === 'triggers') dieAt('install:trigger')
  }
  await initial(context, request, onProgress, signal)
  const { tables } = await status(context)
  if (tables.every((table) => table.state === 'live' || table.state === 'recopied')) await app.query('TRUNCATE pre')
  for (let drains = 0; drains < DRAINS; drains++) await drainAll(context, signal)
} finally {
  await app.end()
  await sides.source.close()
  await sides.target.close()
}
