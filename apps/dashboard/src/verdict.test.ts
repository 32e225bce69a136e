import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StatusReport } from '@mylab-sync/engine'
import { problemsOf } from './verdict.js'

test('a table waiting for a person shows what to run; one recopied by itself does not', () => {
  const figures = { rows: 0, rowsCopied: 0, pending: 0, parked: 0, quarantined: 0, verifiedAt: null }
  const report: StatusReport = {
    totals: { total: 0, synced: 0, pending: 0, failed: 0 },
    lagMs: null,
    consistentAsOf: null,
    sentence: '',
    tables: [
      { table: 'a', state: 'suspect', problem: 'waits for: ALTER TABLE "a" ..', ...figures },
      { table: 'b', state: 'suspect', problem: 'its definition has changed', ...figures },
    ],
    problems: [],
  }
  const [waiting, moving] = problemsOf(report, [])
  assert.match(waiting?.remedy ?? '', /^Run the statement that it names in the target/)
  assert.match(moving?.remedy ?? '', /^A running daemon or worker copies it again/)
})
