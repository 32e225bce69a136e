import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedServers } from '@mylab-sync/testkit'
import { runChaos } from './chaos.js'

const SEED = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 1_000_000))
const LIVE_MS = Number(process.env['CHAOS_SECONDS'] ?? 20) * 1000
const ONLY = (process.env['CHAOS_FAULTS'] ?? '').split(',').filter((fault) => fault !== '')

const servers = await sharedServers()

test('a daemon survives every kind of fault: right at each commit, whole at the end', async (t) => {
  const verdict = await runChaos(servers, { seed: SEED, liveMs: LIVE_MS, only: ONLY })
  const told = `seed ${SEED}: ${verdict.wrong} of ${verdict.drains} drains wrong, ${verdict.statements} statements, faults ${JSON.stringify([...verdict.faults])}, taken up again ${JSON.stringify([...verdict.problems])}; ${verdict.examples.join('; ')}`
  t.diagnostic(told)
  assert.equal(verdict.wrong, 0, told)
  assert.deepEqual(verdict.examples, [], told)
  assert.ok(verdict.drains > 0, told)
})
