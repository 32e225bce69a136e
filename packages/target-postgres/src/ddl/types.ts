/** For each type, those that hold all of its values without loss. */
const WIDER: Readonly<Record<string, readonly string[]>> = {
  smallint: ['integer', 'bigint'],
  integer: ['bigint'],
  real: ['double precision'],
  jsonb: ['json', 'text'],
  json: ['text'],
}

/** True if a column of type `found` holds every value of type `wanted`; both as format_type() prints them. */
export function holds(found: string, wanted: string): boolean {
  if (found === wanted) return true
  const has = parsed(found)
  const needs = parsed(wanted)
  if (has.base !== needs.base) return holdsOther(has, needs, wanted)
  if (!GROWING.has(has.base)) return false
  if (has.sizes.length === 0) return true
  if (needs.sizes.length === 0) return false
  const [size = 0, scale = 0] = has.sizes
  const [least = 0, leastScale = 0] = needs.sizes
  return scale >= leastScale && size - scale >= least - leastScale
}

function holdsOther(has: ParsedType, needs: ParsedType, wanted: string): boolean {
  if (needs.base === 'character varying') return has.base === 'text'
  const digits = INTEGER_DIGITS[wanted]
  if (has.base === 'numeric' && digits !== undefined) {
    const [size, scale = 0] = has.sizes
    return size === undefined || size - scale >= digits
  }
  return WIDER[wanted]?.includes(has.base) ?? false
}

interface ParsedType {
  readonly base: string
  readonly sizes: readonly number[]
}

/** Types that hold more with a larger number in brackets, and most without one. */
const GROWING = new Set([
  'character varying',
  'numeric',
  'timestamp without time zone',
  'timestamp with time zone',
  'time without time zone',
  'interval',
])
const INTEGER_DIGITS: Readonly<Record<string, number>> = { smallint: 5, integer: 10, bigint: 19 }

/** `timestamp(3) with time zone` -> `timestamp with time zone`, [3]. */
function parsed(type: string): ParsedType {
  const match = /^([^(]*)\(([\d,]+)\)(.*)$/.exec(type)
  const [, head = '', sizes = '', tail = ''] = match ?? []
  return match ? { base: head + tail, sizes: sizes.split(',').map(Number) } : { base: type, sizes: [] }
}

/**
 * Returns SQL that converts `value` from type `from` to type `to`, preserving its meaning where a way exists. It may fail
 * for some values. Readers see the result until the copy that follows brings the source's values.
 */
export function conversion(value: string, from: string, to: string): string {
  const [source, wanted] = [family(from), family(to)]
  if (source === wanted && source !== 'other') return `${value}::${to}`
  if (parsed(from).base === 'timestamp without time zone' && parsed(to).base === 'timestamp with time zone')
    return `(${value} AT TIME ZONE 'UTC')::${to}`
  return numberConversion(value, { source, wanted, to }) ?? textConversion(textOf(value, source), wanted, to)
}

function numberConversion(
  value: string,
  { source, wanted, to }: { readonly source: Family; readonly wanted: Family; readonly to: string },
): string | null {
  switch (`${source} to ${wanted}`) {
    case 'boolean to number':
      return `${value}::integer::${to}`
    case 'number to boolean':
      return `(${value} <> 0)`
    case 'bits to number':
      return `lpad(${value}::text, 64, '0')::bit(64)::bigint::${to}`
    case 'number to bits':
      return `${value}::bigint::${to}`
    default:
      return null
  }
}

function textConversion(text: string, wanted: Family, to: string): string {
  if (wanted === 'bytes') return `convert_to(${text}, 'UTF8')`
  return wanted === 'array' ? `string_to_array(${text}, ',')::${to}` : `${text}::${to}`
}

function textOf(value: string, source: Family): string {
  if (source === 'bytes') return `convert_from(${value}, 'UTF8')`
  return source === 'array' ? `array_to_string(${value}, ',')` : `${value}::text`
}

/** Groups of types that PostgreSQL casts into each other. */
type Family = 'number' | 'text' | 'moment' | 'boolean' | 'bits' | 'bytes' | 'array' | 'other'

const FAMILIES: readonly (readonly [RegExp, Family])[] = [
  [/^(smallint|integer|bigint|numeric|real|double precision)/, 'number'],
  [/^(text|character varying)/, 'text'],
  [/\[\]$/, 'array'],
  [/^(date$|timestamp.* without)/, 'moment'],
  [/^bit/, 'bits'],
  [/^boolean$/, 'boolean'],
  [/^bytea$/, 'bytes'],
]

function family(type: string): Family {
  return FAMILIES.find(([pattern]) => pattern.test(type))?.[1] ?? 'other'
}
