import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { test } from 'node:test'
import fc from 'fast-check'
import { CopyBuffer } from './copy-buffer.js'
import { escapeValue } from './copy-text.js'

const WORDS = ['é', '\u{1f600}', '\ud800', '\uffff', '\\', '\n', '\r', '\t', '\0', 'a'].map((word) => Buffer.from(word))
/** Bytes that are often UTF-8, and often almost. */
const bytes = fc
  .array(fc.oneof(fc.constantFrom(...WORDS), fc.uint8Array({ maxLength: 4 }), fc.constantFrom(Buffer.from([0xed, 0xa0, 0x80]), Buffer.from([0xf4, 0x90, 0x80, 0x80]), Buffer.from([0xe0, 0x80, 0x80]), Buffer.from([0xc3]), Buffer.from([0xf0, 0x9f, 0x98]))), { maxLength: 8 }) // biome-ignore format: a list
  .map((parts) => Buffer.concat(parts))

/** What one call writes between two other bytes of the source; null if it refuses. */
function written(
  value: Buffer,
  call: (buffer: CopyBuffer, start: number, end: number) => boolean | void,
): string | null {
  const buffer = new CopyBuffer()
  buffer.from = Buffer.concat([Buffer.from([0x9f, 0]), value, Buffer.from([0x80, 0x5c])])
  buffer.tab()
  if (call(buffer, 2, 2 + value.length) === false) {
    assert.equal(buffer.written.toString('latin1'), '\t')
    return null
  }
  return buffer.written.toString('latin1', 1)
}

test('bytes of any kind are escaped, text only if it is UTF-8 without U+0000', () => {
  fc.assert(
    fc.property(bytes, (value) => {
      const escaped = escapeValue(value).toString('latin1')
      assert.equal(
        written(value, (buffer, start, end) => buffer.same(start, end)),
        escaped,
      )
      const isText = isUtf8(value) && !value.includes(0)
      assert.equal(
        written(value, (buffer, start, end) => buffer.text(start, end)),
        isText ? escaped : null,
      )
      const isPlain = isText && !value.includes('\\')
      assert.equal(
        written(value, (buffer, start, end) => buffer.json(start, end)),
        isPlain ? escaped : null,
      )
      assert.equal(
        written(value, (buffer, start, end) => buffer.hex(start, end)),
        `\\\\x${value.toString('hex')}`,
      )
    }),
    { numRuns: 5_000 },
  )
})

test('text is what UTF-8 allows: each character, and no other pair of first bytes', () => {
  for (let code = 1; code < 0x110000; code += code < 0x3000 ? 1 : 97) {
    if (code >= 0xd800 && code < 0xe000) continue
    const value = Buffer.from(String.fromCodePoint(code))
    assert.equal(
      written(value, (buffer, start, end) => buffer.text(start, end)),
      escapeValue(value).toString('latin1'),
    )
  }
  for (let pair = 0x8000; pair < 0x10000; pair++) {
    for (const tail of ['', '80', '8080', 'bf', 'c080']) {
      const value = Buffer.from(pair.toString(16) + tail, 'hex')
      assert.equal(written(value, (buffer, start, end) => buffer.text(start, end)) !== null, isUtf8(value) && !value.includes(0), value.toString('hex')) // biome-ignore format: one line
    }
  }
})

test('rows of any width fit, and bytes that are still sent are not overwritten', () => {
  const buffer = new CopyBuffer()
  const value = Buffer.alloc(300_000, '\\')
  buffer.reserve(value.length, 1)
  buffer.add(value)
  buffer.line()
  assert.equal(buffer.length, 600_001)
  const sent = buffer.written
  buffer.clear(false)
  buffer.add(Buffer.from('next'))
  assert.equal(sent.toString('latin1', 0, 4), '\\\\\\\\')
  const kept = buffer.written
  buffer.clear(true)
  buffer.add(Buffer.from('last'))
  assert.equal(kept.toString('latin1'), 'last')
})
