import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const MODULE = new URL('./heartbeat.js', import.meta.url).href
const WAIT_MS = 20_000

/** In a process of its own: one that waits for a pipe could not be ended from within. */
function beatsIn(path: string): boolean {
  const program = `import { beat } from ${JSON.stringify(MODULE)}; beat(${JSON.stringify(path)})()`
  try {
    execFileSync(process.execPath, ['--input-type=module', '-e', program], {
      stdio: 'ignore',
      timeout: WAIT_MS,
      killSignal: 'SIGKILL',
    })
    return true
  } catch (error) {
    assert.equal(error instanceof Error && 'code' in error ? error.code : null, null, 'it waits')
    return false
  }
}

test('a heartbeat writes to plain files only, waits for no pipe and empties nothing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'beat-'))
  const at = (name: string): string => join(folder, name)
  try {
    assert.ok(beatsIn(at('new')))
    assert.equal(readFileSync(at('new'), 'utf8'), '')
    writeFileSync(at('own'), 'kept')
    utimesSync(at('own'), 1, 1)
    assert.ok(beatsIn(at('own')))
    assert.ok(Date.now() - statSync(at('own')).mtimeMs < WAIT_MS)
    utimesSync(at('own'), 1, 1)
    symlinkSync(at('own'), at('link'))
    execFileSync('mkfifo', [at('pipe')])
    for (const name of ['link', 'pipe']) assert.equal(beatsIn(at(name)), false, name)
    assert.equal(statSync(at('own')).mtimeMs, 1_000)
    assert.equal(readFileSync(at('own'), 'utf8'), 'kept')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
