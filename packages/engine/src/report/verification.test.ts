import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { VerifyPace } from '@mylab-sync/core'
import { type TableVerified, verificationOf, verifiedClause } from './verification.js'

const NO_PACE: VerifyPace = { waitMs: 0, stepMs: 0, pauseMs: 0, workedMs: 0, spanMs: 0, rows: 0 }
const ON = { share: 0.01, repair: 'report' } as const

function table(verifiedAt: string | null, more: Partial<TableVerified> = {}): TableVerified {
  return { state: 'live', rows: 100, rowsCopied: 0, verifiedAt, rowsDifferent: 0, rowsRepaired: 0, ...more }
}

const clause = (...tables: TableVerified[]): string => verifiedClause(verificationOf(tables, NO_PACE, ON))

test('the summary says what was verified, and never hides what was not', () => {
  const [early, late] = ['2026-01-01T00:00:00.000000Z', '2026-01-02T00:00:00.000000Z']
  assert.equal(clause(table(null), table(null)), 'contents not verified yet')
  assert.equal(clause(table(early), table(null)), 'contents of 1 verified, of 1 not yet')
  assert.equal(clause(table(late)), `contents verified at ${late}`)
  assert.equal(clause(table(late), table(early)), `contents verified at ${early} (oldest)`)
  assert.equal(
    clause(table(late, { rowsRepaired: 2 }), table(early, { rowsRepaired: 1 })),
    `contents verified at ${early} (oldest), 3 rows differed and were repaired`,
  )
  assert.equal(clause(table(late), table(null, { state: 'paused' })), `contents verified at ${late}`)
})

test('the pace is that of the last steps, and foretells how long a pass takes', () => {
  const pace: VerifyPace = { waitMs: 1, stepMs: 400, pauseMs: 39_600, workedMs: 800, spanMs: 80_000, rows: 50 }
  assert.deepEqual(verificationOf([table(null), table(null)], pace, ON).pace, {
    stepMs: 400,
    pauseMs: 39_600,
    share: 0.01,
    rowsPerHour: 2250,
    passMs: 320_000,
  })
  assert.equal(verificationOf([table(null)], NO_PACE, ON).pace, null)
})
