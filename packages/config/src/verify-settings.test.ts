import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from './config.js'
import { shareOf, type VerifySettings } from './verify-settings.js'

function verifyIn(yaml: string, env: Readonly<Record<string, string>> = {}): VerifySettings {
  const directory = mkdtempSync(join(tmpdir(), 'verify-settings-'))
  try {
    writeFileSync(join(directory, 'mylab-sync.yaml'), `source: { database: a }\ntarget: { database: a }\n${yaml}`)
    return loadConfig({ env, directory }).verify
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('a share of the time is a percentage or a fraction, and a bare 1 is neither', () => {
  const given = ['1%', '1 %', '0.5%', 0.01, '0.01', 0, '0', '0%', '100%', '.5', 50e-2]
  assert.deepEqual(given.map(shareOf), [0.01, 0.01, 0.005, 0.01, 0.01, 0, 0, 0, 1, 0.5, 0.5])
  for (const wrong of [1, '1', 2, '101%', '-1%', -0.1, 'x', '', '1%%', '1e-2', NaN, null, true, [0.01]])
    assert.equal(shareOf(wrong), undefined, JSON.stringify(wrong))
})

test('by default verification by itself takes 1 % of the time and reports', () => {
  assert.deepEqual(verifyIn(''), { share: 0.01, repair: 'report' })
  assert.deepEqual(verifyIn('verify: { background: 5%, repair: auto }'), { share: 0.05, repair: 'auto' })
  assert.deepEqual(
    verifyIn('verify: { background: 5% }', { SYNC_VERIFY_BACKGROUND: '0', SYNC_VERIFY_REPAIR: 'AUTO' }),
    {
      share: 0,
      repair: 'auto',
    },
  )
})

test('a share or a repair that is none is refused with one line', () => {
  const expected = 'expected a percentage such as 1%, a fraction such as 0.01, or 0 to turn it off'
  assert.throws(() => verifyIn('verify: { background: 1 }'), {
    message: new RegExp(`verify.background: found 1, ${expected}$`),
  })
  assert.throws(() => verifyIn('verify: { background: [1] }'), {
    message: new RegExp(`verify.background: found a list, ${expected}$`),
  })
  assert.throws(() => verifyIn('verify: { repair: yes }'), {
    message: /verify.repair: found yes, expected report or auto$/,
  })
  assert.throws(() => verifyIn('verify: { ahead: 1 }'), {
    message: /verify: found ahead, expected background, repair$/,
  })
  assert.throws(() => verifyIn('', { SYNC_VERIFY_BACKGROUND: '1' }), {
    message: `environment: SYNC_VERIFY_BACKGROUND: found 1, ${expected}`,
  })
  assert.throws(() => verifyIn('', { SYNC_VERIFY_REPAIR: 'no' }), {
    message: 'environment: SYNC_VERIFY_REPAIR: found no, expected report or auto',
  })
})
