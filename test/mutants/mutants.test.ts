import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Mutant, MUTANTS, mutate } from '../support/mutants.js'
import { ROOT } from '../support/run.js'

test('every mutant still finds its place in the built code', async () => {
  assert.ok(MUTANTS.length >= 8)
  for (const rule of MUTANTS) {
    const { mutant } = (await import(`./${rule}.js`)) as { mutant: Mutant }
    for (const file of new Set(mutant.changes.map((change) => change.file))) {
      const code = readFileSync(join(ROOT, file.replace(/^[^/]+/, 'packages/$&/dist')), 'utf8')
      assert.notEqual(mutate(mutant, file, code), code, rule)
    }
  }
})

test('a mutant whose text is missing or ambiguous is refused', () => {
  const mutant = { changes: [{ file: 'engine/a.js', find: 'x', replace: 'y' }] }
  assert.throws(() => mutate(mutant, 'engine/a.js', 'a'), /0 times/)
  assert.throws(() => mutate(mutant, 'engine/a.js', 'x x'), /2 times/)
  assert.equal(mutate(mutant, 'engine/b.js', 'x x'), 'x x')
})
