import assert from 'node:assert/strict'
import { after, before, test, type TestContext } from 'node:test'
import { type EngineContext, runDaemon } from '@mylab-sync/engine'
import { defaultMappingOptions } from '@mylab-sync/mapping'
import { eventually, Proxy, ServerSet } from '@mylab-sync/testkit'
import { connect } from '../support/connect.js'
import { contentOf, textRows } from '../support/content.js'
import { nap } from '../support/fleet.js'
import { copyAll } from '../support/installation.js'

/** The line between the product and a server: long, or frozen so that nothing passes and nobody is told. */
const SIDES = ['source', 'target'] as const
/** LINES=all is the long form. */
const FROZEN = process.env['LINES'] === 'all' ? SIDES : (['source'] as const)
/** Longer than any wait goes on for. */
const FROZEN_MS = 18_000
const NOTICED_MS = 15_000
const WAIT_MS = 30_000
const LONG_MS = 20
const ROWS = 20_000

let servers: ServerSet
before(async () => {
  servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
})
after(() => servers.close())

interface Far {
  readonly context: EngineContext
  readonly lines: Readonly<Record<(typeof SIDES)[number], Proxy>>
  close(): Promise<void>
}

/** An installation whose servers are reached over lines. */
async function far(name: string, roundTripMs: number): Promise<Far> {
  await servers.createDatabases({ source: name, target: name })
  const app = await servers.sourceAdmin(name)
  await app.query(
    `CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a SELECT seq, 0 FROM seq_1_to_${ROWS}`,
  )
  await app.end()
  const lines = {
    source: await Proxy.start(servers.source, { roundTripMs }),
    target: await Proxy.start(servers.target, { roundTripMs }),
  }
  const { source, target, product } = servers
  const sides = await connect(
    { source: { ...source, port: lines.source.port }, target: { ...target, port: lines.target.port }, product },
    name,
  )
  const options = {
    include: ['*'],
    exclude: [],
    mapping: defaultMappingOptions,
    batchRows: 5_000,
    copyConcurrency: 2,
    memoryMb: 256,
    schemaChanges: 'apply' as const,
  }
  return {
    context: { ...sides, options },
    lines,
    async close() {
      await sides.source.close()
      await sides.target.close()
      await Promise.all(SIDES.map((side) => lines[side].close()))
    },
  }
}

async function arrives(name: string, v: number): Promise<number> {
  const since = performance.now()
  const app = await servers.sourceAdmin(name)
  await app.query(`UPDATE a SET v = ${v} WHERE id <= 100`)
  await app.end()
  const reader = await servers.targetAdmin(name)
  try {
    const look = `SELECT count(*) FROM a WHERE v = ${v}`
    await eventually('it arrives', async () => (await textRows(reader, look))[0]?.[0] === '100', WAIT_MS)
    return Math.round(performance.now() - since)
  } finally {
    await reader.end()
  }
}

async function assertSame(name: string): Promise<void> {
  const [app, reader] = [await servers.sourceAdmin(name), await servers.targetAdmin(name)]
  assert.equal(await contentOf(reader, 'a'), await contentOf(app, 'a'))
  await app.end()
  await reader.end()
}

for (const side of FROZEN) {
  test(`a frozen ${side} connection is dropped within 15 s, and resumes once restored`, async (t) => {
    const name = `line_${side}`
    const at = await far(name, 0)
    const ended = new AbortController()
    const problems: number[] = []
    try {
      await copyAll(at.context)
      const onProblem = (): unknown => problems.push(performance.now())
      const running = runDaemon(at.context, { intervalMs: 60_000, onInterval: () => {}, onProblem }, ended.signal)
      running.catch(() => {})
      await arrives(name, 1)
      const since = performance.now()
      at.lines[side].freeze()
      await nap(FROZEN_MS)
      const noticedMs = (problems[0] ?? Number.POSITIVE_INFINITY) - since
      assert.ok(noticedMs < NOTICED_MS, `noticed after ${noticedMs} ms`)
      at.lines[side].thaw()
      tell(t, { noticedS: Math.round(noticedMs / 100) / 10, againMs: await arrives(name, 2) })
      ended.abort()
      await running
      await assertSame(name)
    } finally {
      ended.abort()
      at.lines[side].thaw()
      await at.close()
    }
  })
}

test(`a ${LONG_MS} ms round trip to both servers keeps results right; the lag is reported`, async (t) => {
  const at = await far('line_long', LONG_MS)
  const ended = new AbortController()
  try {
    const since = performance.now()
    await copyAll(at.context)
    const copyMs = Math.round(performance.now() - since)
    const running = runDaemon(at.context, { intervalMs: 60_000, onInterval: () => {} }, ended.signal)
    running.catch(() => {})
    await arrives('line_long', 1)
    tell(t, { roundTripMs: LONG_MS, copyMs, lagMs: await arrives('line_long', 2) })
    ended.abort()
    await running
    await assertSame('line_long')
  } finally {
    ended.abort()
    await at.close()
  }
})

function tell(t: TestContext, figures: object): void {
  t.diagnostic(JSON.stringify(figures))
}
