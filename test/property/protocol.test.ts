import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedServers } from '@mylab-sync/testkit'
import { importMutant } from '../support/mutants.js'
import { runExperiment, type Verdict } from './protocol.js'
import { runPasses } from './verification.js'

const SEED = Number(process.env['PROPERTY_SEED'] ?? Math.floor(Math.random() * 1_000_000))
const LIVE_MS = Number(process.env['PROPERTY_SECONDS'] ?? 20) * 1000
/** Of verification passes. */
const VERIFY_MS =
  process.env['PROPERTY_VERIFY_SECONDS'] === undefined
    ? LIVE_MS / 3
    : Number(process.env['PROPERTY_VERIFY_SECONDS']) * 1000

const servers = await sharedServers()

const told = (verdict: Verdict): string =>
  `seed ${SEED}: ${verdict.wrong} of ${verdict.drains} drains wrong, ${verdict.backwards} went back, ${verdict.statements} statements, ${verdict.slices} slices of backlogs, ${verdict.validated} text keys validated; ${verdict.examples.join('; ')}`

test('drain commits equal their snapshots during copy, opening and random writes', async (t) => {
  const verdict = await runExperiment(servers, { seed: SEED, liveMs: LIVE_MS })
  t.diagnostic(told(verdict))
  assert.equal(verdict.wrong + verdict.backwards, 0, told(verdict))
  assert.ok(verdict.drains > 10, told(verdict))
})

test('catch-up slices, each its own commit, end in drains that equal their snapshots', async (t) => {
  const verdict = await runExperiment(servers, { seed: SEED + 1, liveMs: LIVE_MS / 4, catchUpKeys: 20 })
  t.diagnostic(told(verdict))
  assert.equal(verdict.wrong + verdict.backwards, 0, told(verdict))
})

test('what a closure finds beyond a slice is left to later slices of the same drain', async (t) => {
  const verdict = await runExperiment(servers, {
    seed: SEED + 4,
    liveMs: LIVE_MS / 2,
    sliceEntries: 3,
    mostPending: 60,
    leastSlices: 100,
  })
  t.diagnostic(told(verdict))
  assert.equal(verdict.wrong + verdict.backwards, 0, told(verdict))
  assert.ok(verdict.slices >= 100, told(verdict))
})

test('backlogs take several snapshots in one target transaction, which equals the last', async (t) => {
  const verdict = await runExperiment(servers, { seed: SEED + 2, liveMs: LIVE_MS / 2, backlogMs: 700, leastSlices: 11 })
  t.diagnostic(told(verdict))
  assert.equal(verdict.wrong + verdict.backwards, 0, told(verdict))
  assert.ok(verdict.slices > 10, told(verdict))
})

test('children spelt differently are followed while their foreign keys come and go', async (t) => {
  const verdict = await runExperiment(servers, { seed: SEED + 3, liveMs: LIVE_MS / 2, foreignKeysComeAndGo: true })
  t.diagnostic(told(verdict))
  assert.equal(verdict.wrong + verdict.backwards, 0, told(verdict))
  assert.ok(verdict.validated > 0, told(verdict))
})

test('verification beside writers reports what differs, and repair writes only that', async (t) => {
  const counts = await runPasses(servers, { seed: SEED + 5, liveMs: VERIFY_MS })
  const { examples, ...figures } = counts
  t.diagnostic(`seed ${SEED}: ${JSON.stringify(figures)}; ${examples.join('; ')}`)
  const { falsely, missed, unrepaired, touched } = counts
  assert.deepEqual(
    { falsely, missed, unrepaired, touched },
    { falsely: 0, missed: 0, unrepaired: 0, touched: 0 },
    examples.join('; '),
  )
  assert.ok(counts.found > 0)
})

/** Omits each rule once: the same comparison must find the fault that it prevents. Tries several runs: one may be lucky. */
const BROKEN: readonly { readonly without: string; readonly rule: string }[] = [
  { without: 'the closure', rule: 'closure' },
  { without: 'absent rows as start keys', rule: 'absent-is-start' },
  { without: 'the lock before the snapshot', rule: 'lock-before-snapshot' },
  { without: 'the start flag of parked keys', rule: 'park-start-flag' },
  { without: 'marks by exact ids', rule: 'mark-exact-ids' },
]
const PROTOCOL = import.meta.resolve('./protocol.js')
const TRIES = Number(process.env['PROPERTY_TRIES'] ?? 20)

for (const { without, rule } of BROKEN) {
  test(`without ${without} the same comparison finds wrong drains`, async (t) => {
    if (servers.isMysql) return t.skip('the rules are of the engine: they are left out on MariaDB')
    const { runExperiment: runMutant } = await importMutant<typeof import('./protocol.js')>(rule, PROTOCOL)
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      const seed = SEED + attempt * 100
      const verdict = await runMutant(servers, { seed, liveMs: 4000 })
      t.diagnostic(`attempt ${attempt}: ${told(verdict)}`)
      if (verdict.wrong + verdict.backwards > 0) return
    }
    assert.fail(`no run of ${TRIES} noticed that the rule was missing`)
  })
}
