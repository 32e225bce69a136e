import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HexDigits, type TargetRow } from '@mylab-sync/core'
import fc from 'fast-check'
import { testRow } from '../test-support.js'
import { copyPieces, escapeValue } from './copy-text.js'

test('a value without special bytes is copied as is', () => {
  const value = Buffer.from('plain, "quoted" \u{1f600} text')
  assert.equal(escapeValue(value), value)
  assert.equal(escapeValue(Buffer.alloc(0)).length, 0)
})

test('only backslash, newline, return and tab are escaped', () => {
  assert.equal(escapeValue(Buffer.from('a\\b\nc\rd\te')).toString(), 'a\\\\b\\nc\\rd\\te')
  assert.equal(escapeValue(Buffer.from('\\N')).toString(), '\\\\N')
  assert.equal(escapeValue(Buffer.from('\\.\n')).toString(), '\\\\.\\n')
  assert.equal(escapeValue(Buffer.from('\t\t\t')).toString(), '\\t\\t\\t')
})

test('NULL is \\N and an empty value is empty', () => {
  assert.equal(text([testRow('1', null, ''), testRow('2', 'x', null)], 1000), '1\t\\N\t\n2\tx\t\\N\n')
})

test('pieces of any size hold the same text, wherever they are cut', () => {
  const rows = [testRow('1', 'a\\b\nc\rd\te', null), testRow('2', 'é\\\\N'.repeat(9), '')]
  const whole = text(rows, 1000)
  for (let size = 1; size < 60; size++) assert.equal(text(rows, size), whole, `size ${size}`)
  const [longest = 0] = [...copyPieces(rows, 16)].map((piece) => piece.length).sort((a, b) => b - a)
  assert.ok(longest <= 48, `${longest} bytes`)
})

test('bytes become digits while being written, the same in pieces of any size', () => {
  const bytes = Buffer.from([0, 1, 0x5c, 0x0a, 0xff, 0x7f, 9])
  const rows = [{ key: '1', values: [new HexDigits(bytes), Buffer.from('x')] }]
  assert.equal(new HexDigits(bytes).toString(), '\\x00015c0aff7f09')
  assert.equal(new HexDigits(bytes).length, new HexDigits(bytes).toString().length)
  for (let size = 1; size < 20; size++) assert.equal(text(rows, size), '\\\\x00015c0aff7f09\tx\n', `size ${size}`)
})

const DECODED: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

/** Rows as COPY FROM reads its text format (manual, File Formats); octal and hexadecimal escapes are none of ours. */
function decode(lines: string): (string | null)[][] {
  assert.ok(lines === '' || lines.endsWith('\n'))
  return lines.split('\n').slice(0, -1).map(decodeLine)
}

function decodeLine(line: string): (string | null)[] {
  assert.notEqual(line, '\\.', 'the end of the data')
  assert.ok(!line.includes('\r'), 'another end of a line')
  return line
    .split('\t')
    .map((value) => (value === '\\N' ? null : value.replace(/\\(.)/gs, (_, sign: string) => DECODED[sign] ?? sign)))
}

test('COPY reads back every byte, in pieces of any size', () => {
  const byte = fc.oneof(fc.constantFrom(...Buffer.from('\\\n\r\tN.xb0')), fc.nat(255))
  const bytes = fc.array(byte, { maxLength: 12 }).map((each) => Buffer.from(each))
  const value = fc.oneof(
    { weight: 4, arbitrary: bytes },
    fc.constant(null),
    bytes.map((each) => new HexDigits(each)),
  )
  const rows = fc.array(fc.array(value, { minLength: 1, maxLength: 4 }), { maxLength: 4 })
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 20 }), (all, size) => {
      const pieces = [...copyPieces(all.map((values) => ({ key: '', values })), size)] // biome-ignore format: one line
      const expected = all.map((values) =>
        values.map((each) => (each instanceof Buffer ? each.toString('latin1') : (each?.toString() ?? null))),
      )
      assert.deepEqual(decode(Buffer.concat(pieces).toString('latin1')), expected)
    }),
    { numRuns: 500 },
  )
})

function text(rows: readonly TargetRow[], size: number): string {
  return Buffer.concat([...copyPieces(rows, size)]).toString()
}
