/**
 * One life of the product for the crash test: `node crash-child.js DATABASE PLACE NTH`, where to connect in CRASH_SERVERS.
 * Copies, truncates a table, heals it and drains; dies by SIGKILL when it reaches the place for the NTH time: a moment, or
 * a point of the ports. Prints each that it reaches.
 */
import { drainAll, type EngineContext, initial, status } from '@mylab-sync/engine'
import type { ServerSet } from '@mylab-sync/testkit'
import mysql from 'mysql2/promise'
import { connect, OPTIONS } from '../support/connect.js'
import { intercept, type Watch } from '../support/intercept.js'
import { during, MOMENTS } from '../support/moments.js'

const [name = '', wanted = '', nth = '1'] = process.argv.slice(2)
const servers = JSON.parse(process.env['CRASH_SERVERS'] ?? '') as Pick<ServerSet, 'source' | 'target' | 'product'>
const DRAINS = 4
/** Within the call that makes all triggers, which reports each. */
const EACH_TRIGGER = 'install:trigger'

let left = Number(nth)
function reach(): void {
  if (--left === 0) process.kill(process.pid, 'SIGKILL')
}
const reached = new Set<string>()
function note(place: string): void {
  if (!reached.has(place)) process.stdout.write(`${place}\n`)
  reached.add(place)
  if (place === wanted) reach()
}
const atMoments = during(Object.fromEntries(Object.keys(MOMENTS).map((moment) => [moment, () => note(moment)])))
const watch: Watch = async (call) => {
  note(call.point)
  await atMoments(call)
}

const sides = await connect(servers, name)
const { host, port, user, password } = servers.source
const app = await mysql.createConnection({ host, port, user, password, database: name })
const context: EngineContext = {
  ...intercept(sides, watch),
  options: { ...OPTIONS, batchRows: 7 },
  limits: { leastTogether: 2, lastSliceKeys: 5, catchUpKeys: 20, sliceEntries: 60, snapshotMs: 0 },
}
try {
  const { signal } = new AbortController()
  const request = { tables: [], createTables: true, resume: false, triggers: true, force: false, takeOver: false }
  const onProgress = (event: { kind: string }): void => {
    if (event.kind === 'triggers') note(EACH_TRIGGER)
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
