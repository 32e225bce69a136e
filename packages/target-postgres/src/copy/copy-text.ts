import { HexDigits, type TargetRow } from '@mylab-sync/core'

const NULL = Buffer.from('\\N')
/** The digits' prefix with its backslash escaped. */
const HEX = Buffer.from('\\\\x')
const TAB = Buffer.from('\t')
const LINE = Buffer.from('\n')
const ESCAPES: Readonly<Record<number, string>> = { 0x5c: '\\\\', 0x0a: '\\n', 0x0d: '\\r', 0x09: '\\t' }

/** One value in COPY's text format; returns the same buffer if nothing needs escaping. */
export function escapeValue(value: Buffer): Buffer {
  let first = -1
  for (let at = 0; at < value.length; at++) {
    const byte = value[at]
    if (byte === 0x5c || byte === 0x0a || byte === 0x0d || byte === 0x09) {
      first = at
      break
    }
  }
  if (first < 0) return value
  const out = Buffer.allocUnsafe(value.length * 2)
  value.copy(out, 0, 0, first)
  let length = first
  for (let at = first; at < value.length; at++) {
    const byte = value[at] ?? 0
    const escape = ESCAPES[byte]
    if (escape === undefined) out[length++] = byte
    else length += out.write(escape, length, 'latin1')
  }
  return out.subarray(0, length)
}

/** COPY lines of these rows in pieces of about `size` bytes. A value of any size is escaped window by window. */
export function* copyPieces(rows: readonly TargetRow[], size: number): Generator<Buffer, void, void> {
  let parts: Buffer[] = []
  let bytes = 0
  for (const part of linesOf(rows, size)) {
    parts.push(part)
    bytes += part.length
    if (bytes < size) continue
    yield Buffer.concat(parts)
    parts = []
    bytes = 0
  }
  if (bytes > 0) yield Buffer.concat(parts)
}

function* linesOf(rows: readonly TargetRow[], window: number): Generator<Buffer, void, void> {
  for (const { values } of rows) {
    for (let at = 0; at < values.length; at++) {
      if (at > 0) yield TAB
      yield* valueOf(values[at] ?? null, window)
    }
    yield LINE
  }
}

function* valueOf(value: Buffer | HexDigits | null, window: number): Generator<Buffer, void, void> {
  if (value === null) yield NULL
  else if (value instanceof HexDigits) {
    yield HEX
    yield* value.pieces(window)
  } else for (let at = 0; at < value.length; at += window) yield escapeValue(value.subarray(at, at + window))
}
