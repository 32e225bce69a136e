import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ServerSet } from '@mylab-sync/testkit'
import { runExperiment, type Verdict } from './protocol.js'

const SEED = Number(process.env['PROPERTY_SEED'] ?? Math.floor(Math.random() * 1_000_000))
const LIVE_MS = Number(process.env['PROPERTY_SECONDS'] ?? 20) * 1000

let servers: ServerSet
before(async () => {
  servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
})
after(() => servers.close())

const told = (verdict: Verdict): string =>
  `seed ${SEED}: ${verdict.wrong} of ${verdict.drains} drains wrong, ${verdict.statements} statements; ${verdict.examples.join('; ')}`

test('every drain commit equals its source snapshot, while copy, opening and drains run under random writers', async (t) => {
  const verdict = await runExperiment(servers, { seed: SEED, liveMs: LIVE_MS })
  t.diagnostic(told(verdict))
  assert.equal(verdict.wrong, 0, told(verdict))
  assert.ok(verdict.drains > 10, told(verdict))
})

test('without the closure the same comparison finds wrong drains', async (t) => {
  const verdict = await runExperiment(servers, { seed: SEED + 1, liveMs: LIVE_MS / 4, broken: { closure: false } })
  t.diagnostic(told(verdict))
  assert.ok(verdict.wrong > 0, told(verdict))
})

test('where an absent row is no start key the same comparison finds wrong drains', async (t) => {
  const verdict = await runExperiment(servers, {
    seed: SEED + 2,
    liveMs: LIVE_MS / 2,
    broken: { absentIsStart: false },
  })
  t.diagnostic(told(verdict))
  assert.ok(verdict.wrong > 0, told(verdict))
})
