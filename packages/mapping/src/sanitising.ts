import { type ColumnMapping, type SanitisingRule, type SourceColumn, ValueRefused } from '@mylab-sync/core'
import { isText } from './columns.js'

/** How a value is handled that the target cannot store unchanged. */
export interface ValueOutcome {
  readonly rule: SanitisingRule
  /** The target's text, or a phrase: `NULL`, `the row is quarantined`. */
  readonly outcome: string
}

interface Probe {
  readonly rule: SanitisingRule
  readonly applies: (column: SourceColumn) => boolean
  readonly value: (column: SourceColumn) => string
}

const DATES: ReadonlySet<string> = new Set(['date', 'datetime', 'timestamp'])
const dated = (day: string) => (column: SourceColumn) => (column.dataType === 'date' ? day : `${day} 00:00:00`)

/** One value per rule that only this rule accepts. */
const PROBES: readonly Probe[] = [
  { rule: 'zero-date', applies: (c) => DATES.has(c.dataType), value: dated('0000-00-00') },
  {
    rule: 'partial-date',
    applies: (c) => c.dataType === 'date' || c.dataType === 'datetime',
    value: dated('2020-00-00'),
  },
  { rule: 'nul-byte', applies: (c) => isText(c) && !c.json, value: () => 'a\0b' },
  { rule: 'nul-escape', applies: (c) => c.json, value: () => '"a\\u0000b"' },
  { rule: 'invalid-json', applies: (c) => c.json && c.dataType !== 'json', value: () => 'x' },
  { rule: 'not-boolean', applies: (c) => c.dataType === 'tinyint' || c.dataType === 'bit', value: () => '2' },
  { rule: 'enum-error', applies: (c) => c.dataType === 'enum', value: () => '0:' },
]

/** The rules that may alter or refuse values of a column, found by running such values through the column's own conversion. */
export function valueOutcomes(column: ColumnMapping): ValueOutcome[] {
  const { convert, source } = column
  if (convert === null) return []
  return PROBES.filter((probe) => probe.applies(source)).flatMap(({ rule, value }) => {
    const noted: SanitisingRule[] = []
    try {
      const converted = convert(Buffer.from(value(source)), (note) => noted.push(note))
      return noted.includes(rule) ? [{ rule, outcome: outcomeText(rule, converted?.toString('utf8') ?? null) }] : []
    } catch (error) {
      if (error instanceof ValueRefused) return [{ rule, outcome: 'the row is quarantined' }]
      throw error
    }
  })
}

const IN_WORDS: Readonly<Partial<Record<SanitisingRule, string>>> = {
  'nul-escape': '\\u0000 is removed',
  'invalid-json': 'a JSON string of the text',
  'enum-error': "''",
}

function outcomeText(rule: SanitisingRule, converted: string | null): string {
  if (converted === null) return 'NULL'
  if (rule === 'nul-byte')
    return converted.length === 2 ? 'U+0000 is removed' : `U+0000 becomes ${converted.slice(1, -1)}`
  return IN_WORDS[rule] ?? converted.toString()
}
