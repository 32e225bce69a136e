import type { SourceColumn } from '@mylab-sync/core'

/** The value rules of one column or type (TYPES section 2) besides its type option. `zero-date` is `null`, `-infinity`, `quarantine` or a date. */
export interface ColumnRules {
  readonly type?: string
  readonly 'zero-date'?: string
  readonly 'partial-date'?: string
  readonly 'nul-byte'?: 'remove' | 'quarantine' | { readonly replace: string }
  readonly 'invalid-text'?: string
  readonly 'invalid-json'?: string
  readonly 'not-boolean'?: string
  readonly 'enum-error'?: string
}

/** A type option's name, or a map of a type option and value rules. */
export type ColumnOption = string | ColumnRules

/** The settings that decide what the target holds. `columns`: source table -> source column -> option. */
export interface MappingOptions {
  readonly names: 'keep' | 'lower'
  readonly types: Readonly<Record<string, ColumnOption>>
  readonly columns: Readonly<Record<string, Readonly<Record<string, ColumnOption>>>>
}

/** No option set. */
export const defaultMappingOptions: MappingOptions = { names: 'keep', types: {}, columns: {} }

const WITH_LENGTH: ReadonlySet<string> = new Set(['tinyint(1)', 'bit(1)', 'binary(16)'])

/** The key of a column's type in `types`: `bigint unsigned`, `datetime`, `json`, `tinyint(1)`. */
export function typeName(column: SourceColumn): string {
  if (column.json) return 'json'
  const full = column.columnType.toLowerCase()
  if (WITH_LENGTH.has(full)) return full
  return column.dataType + (column.unsigned ? ' unsigned' : '')
}

/** The options of one column; per rule the most specific one wins. */
export function columnRules(options: MappingOptions, table: string, column: SourceColumn): ColumnRules {
  const columns = own(options.columns, table) ?? {}
  return { ...rules(own(options.types, typeName(column))), ...rules(own(columns, column.name)) }
}

function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  if (Object.hasOwn(record, name)) return record[name]
  const found = Object.keys(record).find((key) => key.toLowerCase() === name.toLowerCase())
  return found === undefined ? undefined : record[found]
}

function rules(option: ColumnOption | undefined): ColumnRules {
  if (option === undefined) return {}
  return typeof option === 'string' ? { type: option } : option
}

type RuleOption = string | { readonly replace: string }

/** The value rules and their valid options. */
const VALUE_RULES: readonly (readonly [
  rule: Exclude<keyof ColumnRules, 'type'>,
  knows: (option: RuleOption) => boolean,
])[] = [
  ['zero-date', isDateOption],
  ['partial-date', (option) => option === 'clamp' || isDateOption(option)],
  ['nul-byte', (option) => option === 'remove' || option === 'quarantine' || isReplacement(option)],
  ['invalid-text', isOneOf('quarantine', 'replace')],
  ['invalid-json', isOneOf('null', 'quarantine', 'string')],
  ['not-boolean', isOneOf('quarantine', 'true')],
  ['enum-error', isOneOf('null', '')],
]

/** What is wrong with a column's value rules; null if nothing is. */
export function invalidRule(rules: ColumnRules): string | null {
  for (const [rule, knows] of VALUE_RULES) {
    const option = rules[rule]
    if (option !== undefined && !knows(option)) return rule
  }
  return null
}

function isOneOf(...known: readonly string[]): (option: RuleOption) => boolean {
  return (option) => typeof option === 'string' && known.includes(option)
}

function isDateOption(option: RuleOption): boolean {
  return (
    typeof option === 'string' &&
    /^(null|quarantine|-?infinity|\d{4}-\d{2}-\d{2}( \d{2}:\d{2}:\d{2}(\.\d{1,6})?)?)$/.test(option)
  )
}

function isReplacement(option: RuleOption): boolean {
  return (
    typeof option === 'object' &&
    typeof option.replace === 'string' &&
    !option.replace.includes('\0') &&
    Array.from(option.replace).length <= 1
  )
}
