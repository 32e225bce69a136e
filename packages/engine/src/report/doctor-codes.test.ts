import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = new URL('../../../../', import.meta.url).pathname
const FOLDERS = ['packages/source-mysql/src/preflight', 'packages/target-postgres/src/preflight']
const CODE = /'((?:source|target)-[a-z-]+|no-table|table-refused|capture-only-parents|clock-difference)'/g

test('the document names every code of a finding and no other', () => {
  const files = FOLDERS.flatMap((folder) => readdirSync(join(ROOT, folder)).map((file) => join(folder, file)))
  const texts = [...files, 'packages/engine/src/report/doctor.ts'].filter((file) => !file.endsWith('.test.ts'))
  const used = texts.flatMap((file) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(CODE)].map(([, code]) => code ?? ''),
  )
  const told = [...readFileSync(join(ROOT, 'docs/before-you-start.md'), 'utf8').matchAll(/`([a-z-]+)`/g)]
    .map(([, code]) => code ?? '')
    .filter((code) => `'${code}'`.search(CODE) === 0 && !code.endsWith('-url'))
  assert.deepEqual([...new Set(told)].sort(), [...new Set(used)].sort())
})
