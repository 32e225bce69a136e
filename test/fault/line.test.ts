import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { eventually, Proxy, sharedServers } from '@mylab-sync/testkit'
import { startDaemon } from '../support/daemon.js'
import { connect } from '../support/connect.js'
import { contentOf, textRows } from '../support/content.js'
import { nap } from '../support/fleet.js'
import { copyAll, createInstallation, type Installation, overSides } from '../support/installation.js'

/** The line between the product and a server: long, or frozen, so that nothing passes and neither end notices. */
const SIDES = ['source', 'target'] as const
/** LINES=all runs the long form. */
const FROZEN = process.env['LINES'] === 'all' ? SIDES : (['source'] as const)
/** Longer than any wait lasts. */
const FROZEN_MS = 18_000
const NOTICED_MS = 15_000
const WAIT_MS = 30_000
const LONG_MS = 20
const ROWS = 20_000

const servers = await sharedServers()

interface Far extends Installation {
  readonly lines: Readonly<Record<(typeof SIDES)[number], Proxy>>
}

/** Creates an installation that reaches its servers over proxied lines. */
async function far(name: string, roundTripMs: number): Promise<Far> {
  const near = await createInstallation(servers, name, {
    schema: `CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; INSERT INTO a SELECT seq, 0 FROM seq_1_to_${ROWS}`,
    batchRows: 5_000,
  })
  const lines = {
    source: await Proxy.start(servers.source, { roundTripMs }),
    target: await Proxy.start(servers.target, { roundTripMs }),
  }
  const { source, target, product } = servers
  const sides = await connect(
    { source: { ...source, port: lines.source.port }, target: { ...target, port: lines.target.port }, product },
    name,
  )
  return {
    ...overSides(near, sides),
    lines,
    async [Symbol.asyncDispose]() {
      for (const side of SIDES) lines[side].thaw()
      await sides[Symbol.asyncDispose]()
      await Promise.all(SIDES.map((side) => lines[side].close()))
      await near[Symbol.asyncDispose]()
    },
  }
}

async function arrives(name: string, v: number): Promise<number> {
  const since = performance.now()
  const app = await servers.sourceAdmin(name)
  await app.query(`UPDATE a SET v = ${v} WHERE id <= 100`)
  await app.end()
  await using reader = await servers.targetAdmin(name)
  const look = `SELECT count(*) FROM a WHERE v = ${v}`
  await eventually('it arrives', async () => (await textRows(reader, look))[0]?.[0] === '100', WAIT_MS)
  return Math.round(performance.now() - since)
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
    await using installation = await far(name, 0)
    await copyAll(installation.context)
    await using daemon = startDaemon(installation.context, 60_000)
    await arrives(name, 1)
    const since = performance.now()
    installation.lines[side].freeze()
    await nap(FROZEN_MS)
    const noticedMs = (daemon.problems[0]?.atMs ?? Number.POSITIVE_INFINITY) - since
    assert.ok(noticedMs < NOTICED_MS, `noticed after ${noticedMs} ms`)
    installation.lines[side].thaw()
    tell(t, { noticedS: Math.round(noticedMs / 100) / 10, againMs: await arrives(name, 2) })
    await daemon.stop()
    await assertSame(name)
  })
}

test(`a ${LONG_MS} ms round trip to both servers keeps results right; the lag is reported`, async (t) => {
  await using installation = await far('line_long', LONG_MS)
  const since = performance.now()
  await copyAll(installation.context)
  const copyMs = Math.round(performance.now() - since)
  await using daemon = startDaemon(installation.context, 60_000)
  await arrives('line_long', 1)
  tell(t, { roundTripMs: LONG_MS, copyMs, lagMs: await arrives('line_long', 2) })
  await daemon.stop()
  await assertSame('line_long')
})

function tell(t: TestContext, figures: object): void {
  t.diagnostic(JSON.stringify(figures))
}
