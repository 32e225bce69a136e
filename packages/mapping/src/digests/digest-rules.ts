import type { Convert, DigestRule, SourceColumn } from '@mylab-sync/core'
import { arrayLiteral } from '../values.js'

/** Text of a column that is longer than this is digested by its own hash, which keeps the row's text short. */
const MAX_LENGTH = 255
const ZERO_DATES: Readonly<Record<string, string>> = {
  date: '0000-00-00',
  datetime: '0000-00-00 00:00:00',
  timestamp: '0000-00-00 00:00:00',
}
const ignore = (): void => undefined

/**
 * The digest rule of a column with this target type and conversion; null where the servers share no text that proves a value:
 * geometries, vectors, jsonb of text, and numbers with shown digits, whose stored bits are others.
 */
export function digestRule(column: SourceColumn, type: string, convert: Convert | null): DigestRule | null {
  if (type === 'boolean') return 'boolean'
  if (type === 'uuid') return 'uuid'
  if (type === 'json') return 'hash'
  // Both servers print their binary JSON alike as a rule; text is as the application wrote it.
  if (type === 'jsonb') return column.dataType === 'json' ? 'hash' : null
  switch (column.dataType) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
    case 'decimal':
    case 'year':
      return 'number'
    case 'float':
    case 'double':
      return column.scale === null ? 'double' : null
    case 'bit':
      return 'bits'
    case 'date':
    case 'datetime':
    case 'timestamp':
      return isZeroNull(column, convert) ? 'temporal-or-null' : 'temporal'
    case 'time':
      return 'temporal'
    case 'enum':
      return 'member'
    case 'set':
      return type === 'text' ? 'text' : isPlainSet(column) ? 'list' : null
    case 'inet4':
    case 'inet6':
      return 'address'
    default:
      return textRule(column, type)
  }
}

function textRule(column: SourceColumn, type: string): DigestRule | null {
  if (type === 'bytea') return /binary$|blob$/.test(column.dataType) ? 'hash' : null
  if (type !== 'text' && !type.startsWith('character varying')) return null
  return column.length !== null && column.length <= MAX_LENGTH && column.dataType.endsWith('char') ? 'text' : 'hash'
}

function isZeroNull({ dataType }: SourceColumn, convert: Convert | null): boolean {
  try {
    return convert?.(Buffer.from(ZERO_DATES[dataType] ?? ''), ignore) === null
  } catch {
    // Refused: the row is quarantined.
    return false
  }
}

/** No member needs quotes in an array literal. */
function isPlainSet({ members }: SourceColumn): boolean {
  return (members ?? []).every((member) => arrayLiteral([member]) === `{${member}}`)
}
