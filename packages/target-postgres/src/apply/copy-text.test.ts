import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testRow } from '../test-support.js'
import { copyLines, escapeValue } from './copy-text.js'

test('a value without special bytes passes as it is', () => {
  const value = Buffer.from('plain, "quoted" \u{1f600} text')
  assert.equal(escapeValue(value), value)
  assert.equal(escapeValue(Buffer.alloc(0)).length, 0)
})

test('backslash, newline, return and tab are escaped, and nothing else', () => {
  assert.equal(escapeValue(Buffer.from('a\\b\nc\rd\te')).toString(), 'a\\\\b\\nc\\rd\\te')
  assert.equal(escapeValue(Buffer.from('\\N')).toString(), '\\\\N')
  assert.equal(escapeValue(Buffer.from('\\.\n')).toString(), '\\\\.\\n')
  assert.equal(escapeValue(Buffer.from('\t\t\t')).toString(), '\\t\\t\\t')
})

test('NULL is \\N and an empty value is empty', () => {
  assert.equal(copyLines([testRow('1', null, ''), testRow('2', 'x', null)]).toString(), '1\t\\N\t\n2\tx\t\\N\n')
})
