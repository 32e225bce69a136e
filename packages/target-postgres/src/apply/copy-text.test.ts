import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TargetRow } from '@mylab-sync/core'
import { testRow } from '../test-support.js'
import { copyPieces, escapeValue } from './copy-text.js'

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
  assert.equal(text([testRow('1', null, ''), testRow('2', 'x', null)], 1000), '1\t\\N\t\n2\tx\t\\N\n')
})

test('pieces of any size hold the same text, whatever they cut', () => {
  const rows = [testRow('1', 'a\\b\nc\rd\te', null), testRow('2', 'é\\\\N'.repeat(9), '')]
  const whole = text(rows, 1000)
  for (let size = 1; size < 60; size++) assert.equal(text(rows, size), whole, `size ${size}`)
  const [longest = 0] = [...copyPieces(rows, 16)].map((piece) => piece.length).sort((a, b) => b - a)
  assert.ok(longest <= 48, `${longest} bytes`)
})

function text(rows: readonly TargetRow[], size: number): string {
  return Buffer.concat([...copyPieces(rows, size)]).toString()
}
