import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { concernsAll, type ErrorCode, ERRORS, isRetryable, isSurvivable, isTransient, SyncError } from './errors.js'

const CODES = Object.keys(ERRORS) as ErrorCode[]
const page = (name: string): string => readFileSync(new URL(`../../../docs/${name}.md`, import.meta.url), 'utf8')
const codesWhere = (is: (error: SyncError) => boolean): string[] =>
  CODES.filter((code) => is(new SyncError(code, 'x'))).sort()

test('exit codes are those that docs/cli.md names', () => {
  const [line = ''] = /^Exit codes: .*$/m.exec(page('cli')) ?? []
  const words: Readonly<Record<string, string>> = { usage: '2 usage', configuration: '3 configuration' }
  const exits = Object.fromEntries(CODES.map((code) => [code, ERRORS[code].exit]).filter(([, exit]) => exit !== 1))
  assert.deepEqual(exits, { usage: 2, configuration: 3, 'cannot-connect': 4 })
  for (const [code, exit] of Object.entries(exits))
    assert.ok(line.includes(words[code] ?? `${exit} ${code.replace('-', ' ')}`), `${code}: ${line}`)
})

test('every code that a person can meet has a chapter in troubleshooting', () => {
  const chapters = new Set([...page('troubleshooting').matchAll(/^## ([a-z-]+)$/gm)].map(([, code]) => code))
  assert.deepEqual(
    CODES.filter((code) => !chapters.has(code)),
    [],
  )
})

test('transient failures retry a step, and moved definitions restart the work', () => {
  const transient = ['cannot-connect', 'lock-timeout', 'lost-connection', 'unavailable']
  const reload = ['generation-changed', 'internal', 'table-broken', 'target-table-differs', 'truncated-read']
  assert.deepEqual(codesWhere(isTransient), transient)
  assert.deepEqual(codesWhere(isRetryable), [...transient, ...reload].sort())
  // A daemon outlives a cutover, and goes on following once it is taken back.
  assert.deepEqual(codesWhere(isSurvivable), [...codesWhere(isRetryable), 'cut-over'].sort())
})

test('a refusal ends a command but no daemon, and a defect ends both', () => {
  const refused = new SyncError('cannot-connect', 'x', { retry: 'once-mended' })
  assert.ok(!isTransient(refused) && !isRetryable(refused) && isSurvivable(refused) && concernsAll(refused))
  const defect = new TypeError('x')
  assert.ok(!isRetryable(defect) && !isSurvivable(defect) && !concernsAll(defect))
})
