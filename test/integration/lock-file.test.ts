import assert from 'node:assert/strict'
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readText } from '../support/deployment.js'
import { ROOT, run } from '../support/run.js'
import { sharedFolder } from '../support/folders.js'

const LIST = 'docs/decisions/0011-packages-without-provenance.md'
const SOME = 'node_modules/zod'

interface Lock {
  packages: Record<string, Record<string, unknown>>
}

const folder = await sharedFolder('lock')
for (const file of ['package.json', LIST]) cpSync(join(ROOT, file), join(folder, file))

/** The check's output for a modified lock file. */
async function checked(change: (packages: Lock['packages']) => void): Promise<{ code: number | null; err: string }> {
  const lock = JSON.parse(readText('package-lock.json')) as Lock
  change(lock.packages)
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock))
  return run(process.execPath, [join(ROOT, 'scripts/check-lock.mjs'), folder])
}

const put = (more: Record<string, unknown>) => (packages: Lock['packages']) => {
  packages[SOME] = { ...packages[SOME], ...more }
}

const FAULTS: readonly (readonly [change: (packages: Lock['packages']) => void, line: RegExp])[] = [
  [put({ hasInstallScript: true }), /^zod@\S+: runs a script when it is installed/],
  [put({ license: 'SSPL-1.0' }), /^zod@\S+: licence SSPL-1\.0, expected some of MIT/],
  [put({ license: 'MIT OR GPL-3.0-only' }), /^zod@\S+: licence GPL-3\.0-only/],
  [put({ license: undefined }), /^zod@\S+: licence \(none\)/],
  [put({ integrity: undefined }), /^zod@\S+: no sha512 of its content/],
  [put({ integrity: 'sha1-x' }), /^zod@\S+: no sha512 of its content/],
  [put({ resolved: 'https://elsewhere.example/zod.tgz' }), /^zod@\S+: from elsewhere than/],
  [put({ version: '999.0.0' }), /^zod@999\.0\.0: is not in docs\/decisions/],
  [(packages) => (packages['node_modules/zodd'] = { ...packages[SOME] }), /^zodd@\S+: is not in docs\/decisions/],
  [(packages) => delete packages[SOME], /^zod@\S+: is in docs\/decisions\S+, and no longer locked/],
]

test('the gate refuses a lock file with an unvetted package, script, licence or origin', async () => {
  const sound = await checked(() => {})
  assert.deepEqual([sound.code, sound.err], [0, ''])
  for (const [change, line] of FAULTS) {
    const { code, err } = await checked(change)
    assert.match(err, line)
    assert.equal(code, 1)
  }
  assert.match(
    (JSON.parse(readText('package.json')) as { scripts: { check: string } }).scripts.check,
    /check-lock\.mjs &&/,
  )
  assert.match(readText('.ci/run'), /^npm run check$/m)
})
