import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KeyColumn, SourceColumn } from '@mylab-sync/core'
import fc from 'fast-check'
import { charsetOf } from './charsets.js'
import { bitsOfDouble } from './doubles.js'
import { testColumn, testTable } from './fixtures.js'
import { isKeyOf } from './key-form.js'
import { keyText } from './key-text.js'
import { keyMapping } from './keys.js'
import { type ColumnOption, defaultMappingOptions } from './options.js'
import { mapTables } from './tables.js'

interface Family {
  readonly column: SourceColumn
  readonly option?: ColumnOption
  /** Tokens as the triggers write them. */
  readonly tokens: fc.Arbitrary<string>
  /** The target's value as a number or a text that sorts as PostgreSQL sorts it; only where the key promises one order. */
  readonly order?: (text: string) => bigint | string
  /** The same for the source's. */
  readonly sourceOrder?: (token: string) => bigint | string
}

const digits = (value: number, width: number): string => String(value).padStart(width, '0')
const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max })
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').toUpperCase()

const DAY = fc
  .record({ year: between(0, 9999), month: between(1, 12), day: between(1, 31) })
  .filter(({ year, month, day }) => day <= new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate())
  .map(({ year, month, day }) => `${digits(year, 4)}-${digits(month, 2)}-${digits(day, 2)}`)
const CLOCK = fc
  .record({ hour: between(0, 23), minute: between(0, 59), second: between(0, 59) })
  .map(({ hour, minute, second }) => [hour, minute, second].map((part) => digits(part, 2)).join(':'))

function withFraction(text: fc.Arbitrary<string>, places: number): fc.Arbitrary<string> {
  if (places === 0) return text
  return fc.tuple(text, between(0, 10 ** places - 1)).map(([whole, part]) => `${whole}.${digits(part, places)}`)
}

function dateFamily(dataType: string, fraction: number): Family {
  const zero = `0000-00-00 00:00:00${fraction > 0 ? `.${'0'.repeat(fraction)}` : ''}`
  const moments = withFraction(
    fc.tuple(DAY, CLOCK).map(([day, clock]) => `${day} ${clock}`),
    fraction,
  )
  const instants = withFraction(
    between(1, 2 ** 31 - 1).map((second) => new Date(second * 1000).toISOString().slice(0, 19).replace('T', ' ')),
    fraction,
  )
  const tokens = fc.oneof({ weight: 9, arbitrary: dataType === 'timestamp' ? instants : moments }, fc.constant(zero))
  const column = testColumn('c', dataType, { fraction })
  return dataType === 'datetime' ? { column, tokens, order: dated, sourceOrder: (token) => token } : { column, tokens }
}

/** Before all others -infinity, then the years before Christ. */
function dated(text: string): string {
  if (text === '-infinity') return ''
  return text.endsWith(' BC') ? `0 ${text.slice(4)}` : `1 ${text}`
}

function integerFamily(dataType: string, bits: bigint, unsigned: boolean): Family {
  const [min, max] = unsigned ? [0n, (1n << bits) - 1n] : [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n]
  const tokens = fc.oneof(fc.bigInt({ min, max }), fc.constantFrom(min, max, 0n)).map(String)
  return { column: testColumn('c', dataType, { unsigned }), tokens, order: BigInt, sourceOrder: BigInt }
}

function decimalFamily(scale: number): Family {
  const units = (text: string): bigint => BigInt(text.replace('.', ''))
  const tokens = fc.bigInt({ min: -99_999n, max: 99_999n }).map((value) => decimalText(value, scale))
  const column = testColumn('c', 'decimal', { precision: 5, scale })
  return { column, tokens, order: units, sourceOrder: units }
}

function decimalText(value: bigint, scale: number): string {
  const text = String(value < 0n ? -value : value).padStart(scale + 1, '0')
  const sign = value < 0n ? '-' : ''
  return scale === 0 ? sign + text : `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`
}

function textFamily(charset: string, unit: fc.Arbitrary<string>): Family {
  const encode = (text: string): string => hexOf(charsetOf(charset)?.encode(text) ?? Buffer.alloc(0))
  const tokens = fc.string({ unit, maxLength: 9 }).map(encode)
  return { column: testColumn('c', 'varchar', { length: 9, charset }), tokens }
}

const NUMBERS = fc.double({ noNaN: true, noDefaultInfinity: true })
const SIGNS = fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).filter((sign) => sign !== '\0')
const ASCII = between(1, 127).map((code) => String.fromCharCode(code))
const MEMBERS = ['a', '', '{', '"', '\\', 'a b', 'NULL', 'é', "'", '}']
const BYTES = fc.uint8Array({ maxLength: 16 }).map(hexOf)

const FAMILIES: readonly Family[] = [
  ...(['tinyint', 'smallint', 'mediumint', 'int', 'bigint'] as const).flatMap((type, at) => {
    const bits = [8n, 16n, 24n, 32n, 64n][at] ?? 64n
    return [integerFamily(type, bits, false), integerFamily(type, bits, true)]
  }),
  { column: testColumn('c', 'year'), tokens: fc.oneof(fc.constant(0), between(1901, 2155)).map(String), order: BigInt, sourceOrder: BigInt },
  { column: testColumn('c', 'tinyint', { columnType: 'tinyint(1)' }), option: 'boolean', tokens: fc.constantFrom('0', '1') },
  ...[1, 7, 64].map((precision) => ({
    column: testColumn('c', 'bit', { precision }),
    tokens: fc.bigInt({ min: 0n, max: (1n << BigInt(precision)) - 1n }).map(String),
  })),
  { column: testColumn('c', 'enum', { members: MEMBERS }), tokens: between(1, MEMBERS.length).map(String) },
  ...([undefined, 'text'] as const).map((option) => {
    const members = MEMBERS.filter((member) => option === undefined || member !== '')
    const column = testColumn('c', 'set', { members })
    const tokens = between(0, 2 ** members.length - 1).map(String)
    return option === undefined ? { column, tokens } : { column, tokens, option }
  }),
  ...[0, 2, 5].map(decimalFamily),
  { column: testColumn('c', 'double'), tokens: NUMBERS.map(bitsOfDouble) },
  { column: testColumn('c', 'float'), tokens: fc.float({ noNaN: true, noDefaultInfinity: true }).map(bitsOfDouble) },
  { column: testColumn('c', 'double', { precision: 8, scale: 2 }), tokens: fc.bigInt({ min: -99_999_999n, max: 99_999_999n }).map((value) => decimalText(value, 2)) },
  { column: testColumn('c', 'date'), tokens: fc.oneof({ weight: 9, arbitrary: DAY }, fc.constant('0000-00-00')), order: dated, sourceOrder: (token) => token },
  ...[0, 3, 6].flatMap((fraction) => [dateFamily('datetime', fraction), dateFamily('timestamp', fraction)]),
  ...[0, 2, 6].map((fraction) => ({
    column: testColumn('c', 'time', { fraction }),
    tokens: withFraction(fc.tuple(fc.constantFrom('', '-'), between(0, 838), CLOCK).map(([sign, hours, clock]) => `${sign}${digits(hours, 2)}${clock.slice(2)}`), fraction).filter((token) => /[1-9]/.test(token) || !token.startsWith('-')),
  })),
  textFamily('utf8mb4', SIGNS),
  textFamily('utf16', SIGNS),
  textFamily('utf32', SIGNS),
  textFamily('utf8mb3', SIGNS.filter((sign) => (sign.codePointAt(0) ?? 0) < 0x10000)),
  ...['latin1', 'cp1251', 'koi8r', 'gbk', 'ascii'].map((charset) => textFamily(charset, ASCII)),
  textFamily('latin1', fc.constantFrom('é', '€', '\u0081', 'ÿ', 'a')),
  { column: testColumn('c', 'varbinary', { length: 16 }), tokens: BYTES, order: (text) => text, sourceOrder: (token) => token.toLowerCase() },
  { column: testColumn('c', 'binary', { length: 16 }), option: 'uuid', tokens: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(hexOf), order: (text) => text, sourceOrder: (token) => token },
  { column: testColumn('c', 'uuid'), tokens: fc.uuid() },
  { column: testColumn('c', 'inet4'), tokens: fc.ipV4() },
  { column: testColumn('c', 'inet6'), tokens: fc.array(between(1, 0xffff), { minLength: 8, maxLength: 8 }).map((groups) => groups.map((group) => group.toString(16)).join(':')) },
] // biome-ignore format: one family a line

function keyOf({ column, option }: Family) {
  const columns = option === undefined ? {} : { t: { c: option } }
  const table = testTable('t', [column], { primaryKey: ['c'] })
  const mapping = mapTables([table], { ...defaultMappingOptions, columns }).mapped.get('t')
  assert.ok(mapping)
  return keyMapping(mapping, ['c'])
}

/** A value as PostgreSQL prints it. */
function printed({ column: { type } }: KeyColumn, text: string): string {
  assert.ok(!text.startsWith('0000-'), `${text}: PostgreSQL has no year 0`)
  if (type === 'real') return shortestReal(Math.fround(Number(text)))
  if (type === 'inet') return text.replace(/\/(32|128)$/, '')
  return type === 'boolean' ? text.slice(0, 1) : text
}

function shortestReal(value: number): string {
  for (let places = 1; places < 9; places++) {
    const text = value.toPrecision(places)
    if (Math.fround(Number(text)) === value) return String(Number(text))
  }
  return value.toPrecision(9)
}

function compare(a: bigint | string, b: bigint | string): number {
  return a < b ? -1 : Number(a > b)
}

for (const family of FAMILIES) {
  const { columnType, charset, fraction, unsigned, precision, scale } = family.column
  const option = typeof family.option === 'string' ? family.option : null
  const what = [columnType, unsigned ? 'unsigned' : '', charset, fraction, precision, scale, option]
  test(`tokens and target texts name each other: ${what.filter(Boolean).join(' ')}`, () => {
    const key = keyOf(family)
    const [column] = key.columns
    assert.ok(column)
    const { order, sourceOrder } = family
    assert.equal(key.sameOrder, order !== undefined)
    fc.assert(
      fc.property(family.tokens, family.tokens, (a, b) => {
        const [one, other] = [column.toTarget(a), column.toTarget(b)]
        assert.ok(isKeyOf(key, a, 'mysql') && !a.includes(','), a)
        assert.equal(column.fromTarget(printed(column, one)), a)
        assert.equal(one === other, a === b, `${a} and ${b}`)
        if (order && sourceOrder)
          assert.equal(compare(order(one), order(other)), compare(sourceOrder(a), sourceOrder(b)), `${a} and ${b}`)
      }),
    )
  })
}

test('the text of a key is the one that was stored', () => {
  const shown = (family: Family, token: string): string => {
    const [column] = keyOf(family).columns
    assert.ok(column)
    return keyText(column, token)
  }
  const text = textFamily('utf8mb4', SIGNS)
  const set: Family = { column: testColumn('c', 'set', { members: ['a', 'b', 'c'] }), tokens: fc.constant('0') }
  fc.assert(
    fc.property(fc.string({ unit: SIGNS }), NUMBERS, fc.subarray(['a', 'b', 'c']), (value, number, members) => {
      assert.equal(shown(text, hexOf(Buffer.from(value))), value)
      const double = { column: testColumn('c', 'double'), tokens: fc.constant('') }
      assert.equal(shown(double, bitsOfDouble(number)), String(number === 0 ? 0 : number))
      const bits = members.reduce((sum, member) => sum + 2 ** 'abc'.indexOf(member), 0)
      assert.equal(shown(set, String(bits)), members.join(','))
    }),
  )
})
