import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  KeysNeeded,
  type RawRow,
  type RowBlock,
  type SourceColumn,
  type TableMapping,
  type TargetRow,
} from '@mylab-sync/core'
import { sourceColumn, sourceTable } from '@mylab-sync/core/testing'
import { convertRows, SanitisedTally } from '@mylab-sync/engine/testing'
import { type ColumnRules, mapTables } from '@mylab-sync/mapping'
import { blockTextOf, copyTextOf } from '@mylab-sync/target-postgres/testing'
import fc from 'fast-check'

type Value = Buffer | null
type Values = fc.Arbitrary<Buffer>

/** A column type, its values as the source sends them, and the same almost; and the options that it may have. */
interface Kind {
  readonly column: Partial<SourceColumn> & { readonly dataType: string }
  readonly usual: Values
  readonly options?: readonly ColumnRules[]
}

const DATE_OPTIONS: readonly ColumnRules[] = [
  {},
  { 'zero-date': 'null' },
  { 'zero-date': '-infinity', 'partial-date': 'clamp' },
  { 'zero-date': 'quarantine' },
  { 'zero-date': '2001-02-03' },
  { 'zero-date': '1970-01-01 00:00:00', 'partial-date': '0001-01-01' },
]
const TEXT_OPTIONS: readonly ColumnRules[] = [
  {},
  { 'nul-byte': 'quarantine', 'invalid-text': 'quarantine' },
  { 'nul-byte': { replace: '?' } },
  { type: 'text' },
]
const bytes = (texts: readonly string[]): Values => fc.constantFrom(...texts.map((text) => Buffer.from(text)))
const two = (most: number): fc.Arbitrary<string> => fc.nat(most).map((number) => String(number).padStart(2, '0'))
const year = fc.oneof(fc.constantFrom('0000', '0001', '1970', '2001', '1900', '2000', '9999'), fc.integer({ min: 1, max: 9999 }).map((n) => String(n).padStart(4, '0'))) // biome-ignore format: one line
const day = fc.tuple(year, two(13), two(32)).map((parts) => parts.join('-'))
const time = fc.tuple(two(23), two(59), fc.constantFrom('00', '59.5', '00.000', '10.120000')).map((parts) => parts.join(':')) // biome-ignore format: one line
const dates = fc
  .oneof(day, bytes(['0000-00-00', '0001-01-01', '2001-02-03', '2001-02-29']))
  .map((text) => Buffer.from(String(text)))
const times = fc.oneof(fc.tuple(day, time).map((parts) => parts.join(' ')), bytes(['0000-00-00 00:00:00', '0000-00-00 01:00:00', '1970-01-01 00:00:00', '2001-02-03 00:00:00', '0001-01-01 00:00:00'])).map((text) => Buffer.from(String(text))) // biome-ignore format: one line
const any = fc.uint8Array({ maxLength: 12 }).map((list) => Buffer.from(list))
const words = fc
  .array(fc.oneof(fc.constantFrom('a', 'é', '\u{1f600}', '\0', '\\', '\n', '\t', '\r', '\ud800', ':', ',', '{', '"'), fc.string({ maxLength: 5 })), { maxLength: 6 }) // biome-ignore format: one line
  .map((parts) => Buffer.from(parts.join('')))
const texts = fc.oneof(
  { weight: 12, arbitrary: words },
  { weight: 2, arbitrary: any },
  { weight: 1, arbitrary: fc.constantFrom(1_300, 2_500, 66_000, 140_000).map((size) => Buffer.alloc(size, 'w\\')) },
)
const digits = fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }).map((number) => Buffer.from(String(number)))
const small = fc.integer({ min: -3, max: 3 }).map((number) => Buffer.from(String(number)))
const json = fc.oneof(
  fc.json().map((text) => Buffer.from(text)),
  bytes(['"\\u0000"', '{"a": "\\\\u0000"}', '"\\ud800"', '1.', '"é"', '{"a": 1, "a": 2}']),
)
const KINDS: readonly Kind[] = [
  { column: { dataType: 'int' }, usual: small },
  { column: { dataType: 'tinyint', columnType: 'tinyint(1)' }, usual: small, options: [{}, { type: 'boolean' }, { type: 'boolean', 'not-boolean': 'quarantine' }] }, // biome-ignore format: one line
  { column: { dataType: 'bigint', unsigned: true }, usual: digits, options: [{}, { type: 'bigint' }] },
  { column: { dataType: 'decimal', precision: 20, scale: 2 }, usual: digits },
  { column: { dataType: 'double' }, usual: small },
  { column: { dataType: 'double', precision: 8, scale: 2 }, usual: bytes(['1.50', '-0.00', '0.00']) },
  { column: { dataType: 'bit', precision: 8 }, usual: bytes(['00000001', '11111111']) },
  { column: { dataType: 'year' }, usual: bytes(['0000', '2024']) },
  { column: { dataType: 'date' }, usual: dates, options: DATE_OPTIONS },
  { column: { dataType: 'datetime', fraction: 3 }, usual: times, options: DATE_OPTIONS },
  { column: { dataType: 'timestamp' }, usual: times, options: DATE_OPTIONS },
  { column: { dataType: 'time' }, usual: bytes(['-838:59:59', '12:00:00', '24:00:00.5']), options: [{}, { type: 'time' }] }, // biome-ignore format: one line
  { column: { dataType: 'varchar', length: 30, charset: 'utf8mb4' }, usual: texts, options: TEXT_OPTIONS },
  { column: { dataType: 'varchar', length: 30, charset: 'latin1' }, usual: texts, options: TEXT_OPTIONS },
  { column: { dataType: 'longtext', charset: 'utf8mb4' }, usual: texts, options: TEXT_OPTIONS },
  { column: { dataType: 'longtext', charset: 'utf8mb4', json: true }, usual: json, options: [{}, { type: 'json' }, { 'invalid-json': 'null' }] }, // biome-ignore format: one line
  { column: { dataType: 'json', json: true }, usual: json, options: [{}, { type: 'json' }, { type: 'text' }] },
  { column: { dataType: 'enum', members: ['', 'é', 'a:b'], charset: 'utf8mb4' }, usual: bytes(['1:', '2:é', '3:a:b', '0:', '2:\0', '12']), options: [{}, { 'enum-error': 'null' }] }, // biome-ignore format: one line
  { column: { dataType: 'set', members: ['x', 'null', 'a b'], charset: 'utf8mb4' }, usual: bytes(['', 'x,null', 'a b']), options: [{}, { type: 'text' }] }, // biome-ignore format: one line
  { column: { dataType: 'longblob' }, usual: texts },
  { column: { dataType: 'varbinary', length: 30 }, usual: any },
  { column: { dataType: 'binary', columnType: 'binary(16)', length: 16 }, usual: fc.uint8Array({ minLength: 15, maxLength: 16 }).map((list) => Buffer.from(list)), options: [{}, { type: 'uuid' }] }, // biome-ignore format: one line
  { column: { dataType: 'point' }, usual: fc.uint8Array({ minLength: 8, maxLength: 25 }).map((list) => Buffer.from([0, 0, 0, 0, 1, ...list])) }, // biome-ignore format: one line
  { column: { dataType: 'uuid' }, usual: bytes(['7a1b2c3d-0000-1111-2222-333344445555']) },
  { column: { dataType: 'vector' }, usual: any },
]

interface Drawn {
  readonly kind: Kind
  readonly rules: ColumnRules
  readonly nullable: boolean
}

/** Null where the table cannot be carried, as one with a JSON key. */
function tableOf(drawn: readonly Drawn[], keyColumns: number): TableMapping | null {
  const columns = drawn.map(({ kind, nullable }, at) =>
    sourceColumn(`c${at}`, kind.column.dataType, { nullable: nullable && at >= keyColumns, ...kind.column }),
  )
  const primaryKey = keyColumns === 0 ? null : columns.slice(0, keyColumns).map(({ name }) => name)
  const source = sourceTable('t', columns, { primaryKey })
  const options = { names: 'keep' as const, types: {}, columns: { t: Object.fromEntries(drawn.map(({ rules }, at) => [`c${at}`, rules])) } } // biome-ignore format: one line
  return mapTables([source], options).mapped.get('t') ?? null
}

/** A row's token, as the source prints it for usual values, and sometimes another one. */
function tokenOf({ kind }: Drawn, value: Value, isOther: boolean): string {
  const { dataType, members, scale } = kind.column
  const text = value?.toString('latin1') ?? ''
  if (/char|text|binary|blob/.test(dataType)) return isOther ? 'C3A9' : Buffer.from(text, 'latin1').toString('hex').toUpperCase() // biome-ignore format: one line
  if (members) return isOther ? '1' : String((Number.parseInt(text, 10) || 0) % (members.length + 1))
  return dataType === 'double' && scale === undefined ? '000000000000F03F' : text.replaceAll(',', '')
}

function blockOf(rows: readonly RawRow[], columns: number, keyed: boolean): RowBlock {
  const values = rows.flatMap(({ key, values: each }) => (keyed ? [Buffer.from(key, 'latin1'), ...each] : each))
  const bounds = new Int32Array(2 * values.length + 8)
  // Bytes between the values, as the protocol's lengths are.
  const parts: Buffer[] = []
  let at = 0
  for (const [index, value] of values.entries()) {
    parts.push(Buffer.from([0xfc]))
    at++
    bounds[2 * index] = value === null ? -1 : at
    at += value?.length ?? 0
    bounds[2 * index + 1] = value === null ? -1 : at
    if (value !== null) parts.push(value)
  }
  return { bytes: Buffer.concat(parts), bounds, rows: rows.length, columns: columns + (keyed ? 1 : 0), keyed }
}

async function* streamed(blocks: readonly RowBlock[]): AsyncIterable<RowBlock> {
  yield* blocks
}

interface Written {
  readonly text: string
  readonly refused: readonly string[]
  readonly altered: readonly string[]
}

function exactly(table: TableMapping, rows: readonly RawRow[]): Written {
  const tally = new SanitisedTally()
  const converted = convertRows(table, rows, tally)
  return {
    text: copyTextOf(converted.rows).toString('latin1'),
    refused: converted.refused.map(({ key, code }) => `${key} ${code}`),
    altered: tally.counts().map((count) => JSON.stringify(count)),
  }
}

async function undecoded(
  table: TableMapping,
  rows: readonly RawRow[],
  how: { keyed: boolean; rowsABlock: number },
): Promise<Written> {
  // biome-ignore format: one line
  const tally = new SanitisedTally()
  const refused: string[] = []
  const convert = (raw: RawRow): TargetRow | null => {
    const converted = convertRows(table, [raw], tally)
    refused.push(...converted.refused.map(({ key, code }) => `${key} ${code}`))
    return converted.rows[0] ?? null
  }
  const blocks: RowBlock[] = []
  for (let at = 0; at < rows.length; at += how.rowsABlock)
    blocks.push(blockOf(rows.slice(at, at + how.rowsABlock), table.columns.length, how.keyed))
  const { text } = await blockTextOf(table, { keyed: how.keyed, blocks: streamed(blocks), convert })
  return { text: text.toString('latin1'), refused, altered: tally.counts().map((count) => JSON.stringify(count)) }
}

const drawn: fc.Arbitrary<Drawn> = fc
  .constantFrom(...KINDS)
  .chain((kind) => fc.record({ kind: fc.constant(kind), rules: fc.constantFrom(...(kind.options ?? [{}])), nullable: fc.boolean() })) // biome-ignore format: one line

const cases = fc.array(drawn, { minLength: 1, maxLength: 5 }).chain((columns) =>
  fc.record({
    columns: fc.constant(columns),
    keyColumns: fc.integer({ min: 0, max: Math.min(2, columns.length) }),
    rows: fc.array(
      fc.record({
        values: fc.tuple(...columns.map(({ kind, nullable }) => fc.oneof({ weight: 9, arbitrary: kind.usual as fc.Arbitrary<Value> }, { weight: 1, arbitrary: any as fc.Arbitrary<Value> }, { weight: nullable ? 1 : 0, arbitrary: fc.constant(null) }))), // biome-ignore format: one line
        isOther: fc.nat(9).map((n) => n === 0),
      }),
      { minLength: 1, maxLength: 8 },
    ),
    rowsABlock: fc.integer({ min: 1, max: 4 }),
  }),
)

test('rows written undecoded give the COPY text of their conversion', async (t) => {
  const seen = { carried: 0, refused: 0, altered: 0, keysNeeded: 0 }
  await fc.assert(
    fc.asyncProperty(cases, async ({ columns, keyColumns, rows, rowsABlock }) => {
      const table = tableOf(columns, keyColumns)
      if (table === null) return
      const raw = rows.map(({ values, isOther }): RawRow => {
        const tokens = columns.slice(0, keyColumns).map((each, at) => tokenOf(each, values[at] ?? null, isOther))
        return { key: tokens.join(','), values: values.map((value, at) => (at < keyColumns ? (value ?? Buffer.from('1')) : value)) } // biome-ignore format: one line
      })
      const exact = exactly(table, raw)
      seen.carried++
      seen.refused += exact.refused.length
      seen.altered += exact.altered.length
      assert.deepEqual(await undecoded(table, raw, { keyed: true, rowsABlock }), exact)
      try {
        assert.deepEqual(await undecoded(table, raw, { keyed: false, rowsABlock }), { ...exact, altered: keyColumns === 0 ? exact.altered : [], refused: keyColumns === 0 ? exact.refused : [] }) // biome-ignore format: one line
        if (keyColumns > 0) assert.deepEqual([exact.refused, exact.altered], [[], []])
      } catch (error) {
        if (!(error instanceof KeysNeeded)) throw error
        seen.keysNeeded++
      }
    }),
    { numRuns: 1_500 },
  )
  t.diagnostic(JSON.stringify(seen))
  assert.ok(
    Object.values(seen).every((count) => count > 100),
    JSON.stringify(seen),
  )
})
