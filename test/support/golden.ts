import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

const FOLDER = new URL('../../golden/', import.meta.url)

/** Asserts that a command prints the text that was reviewed. UPDATE_GOLDEN=1 rewrites it, to be reviewed again. */
export function assertGolden(name: string, text: string): void {
  const file = new URL(`${name}.txt`, FOLDER)
  if (process.env['UPDATE_GOLDEN'] === '1') {
    mkdirSync(dirname(file.pathname), { recursive: true })
    writeFileSync(file, text)
  }
  assert.equal(text, readFileSync(file, 'utf8'), name)
}
