import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StatusReport } from '@mylab-sync/engine'
import { Throughput } from './throughput.js'

function report(synced: number, rowsCopied: number): StatusReport {
  const table = { table: 'a', state: 'copying', rows: 100, pending: 0, parked: 0, quarantined: 0 } as const
  return {
    totals: { total: synced, synced, pending: 0, failed: 0 },
    lagMs: null,
    consistentAsOf: null,
    sentence: '',
    verification: {
      verifiedAt: null,
      tables: 0,
      verified: 0,
      rowsDifferent: 0,
      rowsRepaired: 0,
      share: 0,
      repair: 'report',
      pace: null,
    },
    tables: [
      {
        ...table,
        rowsCopied,
        verifiedAt: null,
        verifiedUntil: null,
        rowsDifferent: 0,
        rowsRepaired: 0,
        problem: null,
        waits: false,
      },
    ],
    problems: [],
  }
}

test('rates cover the last ten seconds, need two reports and are never negative', () => {
  const speeds = new Throughput()
  speeds.add(report(0, 0), 0)
  assert.equal(speeds.changes(), null)
  speeds.add(report(10, 500), 5_000)
  assert.deepEqual([speeds.changes(), speeds.rows('a'), speeds.rows()], [2, 100, 100])
  speeds.add(report(10, 500), 15_000)
  speeds.add(report(10, 500), 25_000)
  assert.deepEqual([speeds.changes(), speeds.rows('a')], [0, 0])
  speeds.add(report(0, 0), 26_000)
  assert.deepEqual([speeds.changes(), speeds.rows('a')], [0, 0])
})

test('reports from before a long silence are discarded', () => {
  const speeds = new Throughput()
  speeds.add(report(0, 0), 0)
  speeds.add(report(1000, 0), 3_600_000)
  assert.equal(speeds.changes(), null)
})
