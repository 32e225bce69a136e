import type { ColumnMapping, Convert, Passage, ReadRule, SourceColumn } from '@mylab-sync/core'
import { dateConvert, dateMayBecomeNull, type DateKind, datePassage, keyStandIn } from './dates.js'
import type { ValueContext } from './value-rules.js'
import * as values from './values.js'

/** The target type of a source type. */
export interface TypeRule {
  readonly type: string
  readonly castType?: string
  readonly read?: ReadRule
  readonly convert?: Convert | null
  /** Left out: nothing is converted, or every value is. */
  readonly passage?: Passage
  readonly mayBecomeNull?: boolean
  readonly standIn?: string | null
}

/** A column whose type has no rule. */
export interface ColumnRefusal {
  readonly reason: string
  readonly remedy: string
}

const INTEGERS: Readonly<Record<string, readonly [signed: string, unsigned: string]>> = {
  tinyint: ['smallint', 'smallint'],
  smallint: ['smallint', 'integer'],
  mediumint: ['integer', 'integer'],
  int: ['integer', 'bigint'],
  bigint: ['bigint', 'numeric(20,0)'],
}
const TEXTS: ReadonlySet<string> = new Set(['tinytext', 'text', 'mediumtext', 'longtext'])
const BYTES: ReadonlySet<string> = new Set(['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob'])
const GEOMETRIES: ReadonlySet<string> = new Set([
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geometrycollection',
  'geomcollection',
])
/** Type options that are valid for other types only, or not implemented. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  enum: 'leave it out: ENUM is carried as text with a CHECK',
  generated: 'leave it out: the column is carried with its values',
  fulltext: 'leave it out: the index is listed as not carried',
  spatial: 'leave it out: the index is listed as not carried',
}

/** True for the binary types. */
export function isBytes(column: SourceColumn): boolean {
  return BYTES.has(column.dataType) || GEOMETRIES.has(column.dataType)
}

/** True if the column's values are text in a character set. */
export function isText(column: SourceColumn): boolean {
  return column.dataType === 'char' || column.dataType === 'varchar' || TEXTS.has(column.dataType)
}

/** The rule of TYPES section 1 for a column, with its type option. */
export function typeRule(column: SourceColumn, context: ValueContext): TypeRule | ColumnRefusal {
  const option = context.rules.type
  const chosen = option === undefined ? undefined : optionRule(column, option, context)
  if (chosen !== undefined) return chosen
  const rule = defaultRule(column, context)
  if (rule === null) {
    return {
      reason: `no rule for type ${column.columnType}`,
      remedy: 'exclude the table, or change the column to a type listed in docs/types.md',
    }
  }
  if (option === undefined || option === rule.type || option === 'default') return rule
  const known = UNSUPPORTED[option]
  return {
    reason: `type option ${option} is not supported for ${column.columnType}`,
    remedy: known ?? helpfulOption(column),
  }
}

/** True for a refusal. */
export function isRefusal(rule: TypeRule | ColumnRefusal | ColumnMapping): rule is ColumnRefusal {
  return 'reason' in rule
}

function helpfulOption(column: SourceColumn): string {
  const options = OPTIONS.filter(([applies]) => applies(column)).map(([, option]) => option)
  return options.length === 0 ? 'leave the option out' : `leave the option out, or use: ${options.join(', ')}`
}

const OPTIONS: readonly (readonly [applies: (column: SourceColumn) => boolean, option: string])[] = [
  [(column) => column.dataType === 'tinyint' || (column.dataType === 'bit' && column.precision === 1), 'boolean'],
  [(column) => column.dataType === 'bigint' && column.unsigned, 'bigint'],
  [(column) => column.json, 'json'],
  [
    (column) => isText(column) || column.dataType === 'json' || column.dataType === 'set' || column.dataType === 'enum',
    'text',
  ],
  [(column) => column.dataType === 'binary' && column.length === 16, 'uuid'],
  [(column) => column.dataType === 'time', 'time'],
]

function optionRule(column: SourceColumn, option: string, context: ValueContext): TypeRule | undefined {
  if (!OPTIONS.some(([applies, name]) => name === option && applies(column))) return undefined
  switch (option) {
    case 'boolean':
      return {
        type: 'boolean',
        read: column.dataType === 'bit' ? 'bits' : numberRead(column),
        convert: values.booleanConvert(context),
        passage: { kind: 'boolean' },
      }
    case 'bigint':
      return {
        type: 'bigint',
        read: numberRead(column),
        convert: values.bigintConvert(context),
        passage: { kind: 'digits' },
      }
    case 'json':
      return jsonRule(column, context, 'json')
    case 'text':
      return column.dataType === 'enum' ? undefined : { type: 'text', ...textRule(context) }
    case 'uuid':
      return { type: 'uuid', convert: values.uuidConvert(context) }
    case 'time':
      return {
        type: `time(${column.fraction}) without time zone`,
        castType: 'time without time zone',
        convert: values.timeConvert(context),
      }
    default:
      return undefined
  }
}

function defaultRule(column: SourceColumn, context: ValueContext): TypeRule | null {
  const { dataType } = column
  const integers = INTEGERS[dataType]
  if (integers !== undefined) {
    const type = integers[column.unsigned ? 1 : 0]
    return { type, castType: type.startsWith('numeric') ? 'numeric' : type, read: numberRead(column) }
  }
  if (column.json) return jsonRule(column, context, 'jsonb')
  if (dataType === 'char' || dataType === 'varchar') return varchar(column, context)
  if (TEXTS.has(dataType)) return { type: 'text', ...textRule(context) }
  if (BYTES.has(dataType)) return { type: 'bytea', convert: values.byteaConvert, passage: { kind: 'hex' } }
  if (GEOMETRIES.has(dataType)) return { type: 'bytea', convert: values.geometryConvert(context) }
  return otherRule(column, context)
}

function otherRule(column: SourceColumn, context: ValueContext): TypeRule | null {
  switch (column.dataType) {
    case 'decimal':
      return {
        type: `numeric(${column.precision ?? 10},${column.scale ?? 0})`,
        castType: 'numeric',
        read: numberRead(column),
      }
    case 'float':
      // With a scale, carry the number that every client sees, although the stored bits are those of another number.
      return { type: 'real', read: column.scale === null ? 'double' : 'plain' }
    case 'double':
      return { type: 'double precision', read: column.scale === null ? numberRead(column) : 'plain' }
    case 'bit':
      return { type: `bit(${column.precision ?? 1})`, castType: 'varbit', read: 'bits' }
    case 'enum':
      return {
        type: 'text',
        read: 'enum',
        convert: values.enumConvert(context, column.members ?? []),
        passage: { kind: 'member' },
        mayBecomeNull: context.rules['enum-error'] === 'null' && !context.strict,
      }
    case 'set':
      return { type: 'text[]', convert: values.setConvert(context) }
    case 'date':
      return dateRule('date', 'date', context)
    case 'datetime':
      return dateRule('datetime', `timestamp(${column.fraction}) without time zone`, context)
    case 'timestamp':
      return dateRule('timestamp', `timestamp(${column.fraction}) with time zone`, context)
    case 'time':
      return { type: 'interval' }
    case 'year':
      return { type: 'smallint' }
    case 'uuid':
      return { type: 'uuid' }
    case 'inet4':
    case 'inet6':
      return { type: 'inet' }
    case 'vector':
      return { type: 'real[]', convert: values.vectorConvert }
    default:
      return null
  }
}

function dateRule(kind: DateKind, type: string, context: ValueContext): TypeRule {
  return {
    type,
    castType: type.replace(/\(\d\)/, ''),
    convert: dateConvert(kind, context),
    passage: datePassage(kind, context),
    mayBecomeNull: dateMayBecomeNull(kind, context),
    standIn: keyStandIn(kind, context),
  }
}

function jsonRule(column: SourceColumn, context: ValueContext, target: 'json' | 'jsonb'): TypeRule {
  const trusted = column.dataType === 'json'
  const convert = values.jsonConvert(context, target, trusted)
  return {
    type: target,
    convert,
    ...(trusted && convert !== null ? { passage: { kind: 'json' } as const } : {}),
    mayBecomeNull: column.dataType !== 'json' && context.rules['invalid-json'] === 'null',
  }
}

function varchar(column: SourceColumn, context: ValueContext): TypeRule {
  const rule = textRule(context)
  if (column.length === null) return { type: 'text', ...rule }
  return { type: `character varying(${Math.max(1, column.length)})`, castType: 'varchar', ...rule }
}

function textRule(context: ValueContext): Pick<TypeRule, 'convert' | 'passage'> {
  return { convert: values.textConvert(context), passage: { kind: 'text' } }
}

function numberRead(column: SourceColumn): ReadRule {
  return column.zerofill ? 'number' : 'plain'
}
