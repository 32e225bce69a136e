import type { KeyColumn } from '@mylab-sync/core'
import { charsetOf } from './charsets.js'
import { doubleOfBits } from './doubles.js'

/** The text that the source shows for a key column's token; hexadecimal digits if it is binary. */
export function keyText({ column, rule }: KeyColumn, token: string): string {
  const { source } = column
  if (rule === 'text') return charsetOf(source.charset)?.decode(Buffer.from(token, 'hex')) ?? token
  if (rule === 'bits') return String(doubleOfBits(token))
  const members = source.members ?? []
  if (source.dataType === 'enum') return members[Number(token) - 1] ?? ''
  if (source.dataType !== 'set') return token
  return members.filter((_, at) => ((BigInt(token) >> BigInt(at)) & 1n) === 1n).join(',')
}
