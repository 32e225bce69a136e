import type { ColumnDefault } from '@mylab-sync/core'

const ESCAPES: Readonly<Record<string, string>> = { '0': '\0', n: '\n', r: '\r', t: '\t', b: '\b', Z: '\u001a' }

/** Reads the quoted string at `start`. Returns its text and the position after it, or null if there is no complete one. */
function readQuoted(source: string, start: number): { readonly value: string; readonly end: number } | null {
  if (source[start] !== "'") return null
  let value = ''
  for (let at = start + 1; at < source.length; at += 1) {
    const char = source.charAt(at)
    if (char === '\\') {
      at += 1
      const escaped = source.charAt(at)
      value += ESCAPES[escaped] ?? escaped
    } else if (char !== "'") {
      value += char
    } else if (source[at + 1] === "'") {
      value += "'"
      at += 1
    } else {
      return { value, end: at + 1 }
    }
  }
  return null
}

/** Members of `enum('a','b''c')` in definition order; null for any other type. */
export function members(columnType: string): string[] | null {
  const open = /^(?:enum|set)\(/i.exec(columnType)
  if (open === null) return null
  const found: string[] = []
  let at = open[0].length
  for (let next = readQuoted(columnType, at); next !== null; next = readQuoted(columnType, at)) {
    found.push(next.value)
    at = next.end + 1
  }
  return found
}

const CURRENT_TIMESTAMP = /^(?:current_timestamp|now|localtime|localtimestamp)(?:\(\d*\))?$/i
const NUMBER = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i

/** MariaDB's COLUMN_DEFAULT is an expression: strings are quoted, bytes quoted or (since 11) in hexadecimal digits, and NULL is a keyword. */
export function mariadbDefault(value: string | null): ColumnDefault {
  if (value === null || value === 'NULL') return { kind: 'none' }
  if (CURRENT_TIMESTAMP.test(value)) return { kind: 'current-timestamp' }
  const quoted = readQuoted(value, 0)
  if (quoted !== null && quoted.end === value.length) return { kind: 'literal', text: quoted.value }
  const hex = /^x'([0-9a-f]*)'$/i.exec(value)?.[1]
  if (hex !== undefined) return { kind: 'bytes', hex }
  return NUMBER.test(value) ? { kind: 'literal', text: value } : { kind: 'expression', text: value }
}

/** MySQL's COLUMN_DEFAULT is the bare value unless EXTRA contains DEFAULT_GENERATED. It cuts bytes at the first zero byte, so they are unusable. */
export function mysqlDefault(value: string | null, extra: string, dataType: string): ColumnDefault {
  if (value === null) return { kind: 'none' }
  if (CURRENT_TIMESTAMP.test(value) && ['timestamp', 'datetime'].includes(dataType))
    return { kind: 'current-timestamp' }
  const isCut = /^(var)?binary$/.test(dataType) && /^0x/i.test(value)
  if (/\bDEFAULT_GENERATED\b/i.test(extra) || isCut || (dataType === 'bit' && /^b'[01]*'$/.test(value)))
    return { kind: 'expression', text: value }
  return { kind: 'literal', text: value }
}
