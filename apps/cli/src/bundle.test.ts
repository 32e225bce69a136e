import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const BIN = new URL('../bin/mylab-sync.js', import.meta.url)

/** What the command runs if each of these files was made at the given second. */
function ran(made: Readonly<Record<string, number>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'bundle-'))
  try {
    for (const name of ['bin', 'dist', 'bundle']) mkdirSync(join(folder, name))
    copyFileSync(BIN, join(folder, 'bin/mylab-sync.mjs'))
    for (const [name, second] of Object.entries(made)) {
      const file = join(folder, name)
      writeFileSync(file, `console.log('${name}')`)
      utimesSync(file, second, second)
    }
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    return execFileSync(process.execPath, [join(folder, 'bin/mylab-sync.mjs')], { encoding: 'utf8' }).trim()
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('the command runs the bundle only if no build is newer', () => {
  assert.equal(ran({ 'dist/main.js': 5, 'tsconfig.tsbuildinfo': 5, 'bundle/main.js': 6 }), 'bundle/main.js')
  assert.equal(ran({ 'dist/main.js': 5, 'tsconfig.tsbuildinfo': 7, 'bundle/main.js': 6 }), 'dist/main.js')
  assert.equal(ran({ 'dist/main.js': 5, 'tsconfig.tsbuildinfo': 5 }), 'dist/main.js')
  assert.equal(ran({ 'dist/main.js': 5, 'bundle/main.js': 6 }), 'bundle/main.js') // an image without build files
})
