import type {
  ColumnMapping,
  IndexPart,
  IndexPlan,
  NotCarried,
  NotCarriedKind,
  SourceColumn,
  SourceIndex,
  TableMapping,
} from '@mylab-sync/core'
import { isBytes, isText } from './columns.js'
import { findNamed, hasName, isLowered, quotePg, targetName } from './names.js'
import { syncKey } from './references.js'

/** The longest row of a btree index. */
const MAX_ROW = 2704
/** A part longer than this is indexed by its hash. */
const LONG_PART = 64

interface Part {
  readonly column: ColumnMapping
  readonly sql: string
  readonly plain: boolean
  readonly descending: boolean
  readonly bytes: number
}

/** The indexes of a table, without its primary key or the UNIQUE that replaces one. */
export function indexPlans(
  mapping: TableMapping,
  referenced: readonly (readonly string[])[],
): { plans: IndexPlan[]; notCarried: NotCarried[] } {
  const plans: IndexPlan[] = []
  const notCarried: NotCarried[] = []
  const keyIndex = syncKey(mapping.source)?.index
  for (const index of mapping.source.indexes) {
    if (index === keyIndex) continue
    const plan = indexPlan(mapping, index, referenced)
    if (typeof plan === 'string')
      notCarried.push({ kind: notCarriedKind(index), object: `${indexWord(index)} ${index.name}`, reason: plan })
    else plans.push(plan)
  }
  return { plans, notCarried }
}

function notCarriedKind({ kind, parts }: SourceIndex): NotCarriedKind {
  if (kind === 'fulltext' || kind === 'spatial') return `${kind}-index`
  return parts.some(({ column }) => column === null) ? 'expression-index' : 'index'
}

function indexWord({ kind, unique }: SourceIndex): string {
  if (kind === 'fulltext' || kind === 'spatial') return `${kind.toUpperCase()} INDEX`
  return unique ? 'UNIQUE' : 'INDEX'
}

/** A plan, or why the index has none. */
function indexPlan(
  mapping: TableMapping,
  index: SourceIndex,
  referenced: readonly (readonly string[])[],
): IndexPlan | string {
  const parts = partsOf(mapping, index)
  if (typeof parts === 'string') return parts
  const columns = parts.map((part) => part.column.source.name)
  const keyed = keyedBy(mapping, parts)
  if (index.unique && keyed === 'in order') return 'it repeats the key'
  // The key's columns in another order: ON CONFLICT would also choose it, and accepts no deferrable constraint.
  const unique = index.unique && keyed === null
  // A plain INDEX is still tried: values are seldom as long as their type allows.
  const long = parts.reduce((bytes, part) => bytes + part.bytes + 8, 0) > MAX_ROW
  const plain = !long && parts.every((part) => part.plain)
  const isReferenced = referenced.some(
    (set) => set.length === columns.length && columns.every((column) => hasName(set, column)),
  )
  return {
    name: targetName(`${mapping.source.name}_${index.name}`, { lower: isLowered(mapping) }),
    unique,
    parts: parts.map((part) => partSql(part, { long: long && unique, constraint: unique && plain })),
    columns,
    deferrable: unique && plain && !isReferenced,
  }
}

function partsOf(mapping: TableMapping, index: SourceIndex): Part[] | string {
  if (index.kind === 'fulltext') return 'PostgreSQL has its own text search: create an index on to_tsvector(..) instead'
  if (index.kind === 'spatial') return 'it needs PostGIS: create an index USING gist instead'
  const parts: Part[] = []
  for (const part of index.parts) {
    const result = indexPart(mapping, part)
    if (typeof result === 'string') return result
    parts.push(result)
  }
  return parts.length === 0 ? 'it has no columns' : parts
}

/** Whether these parts are exactly the whole columns of the key. */
function keyedBy({ key }: TableMapping, parts: readonly Part[]): 'in order' | 'otherwise' | null {
  const columns = key?.columns.map(({ column }) => column) ?? []
  const isFullTable =
    parts.length === columns.length && parts.every((part) => part.plain && columns.includes(part.column))
  if (!isFullTable) return null
  return parts.every((part, at) => part.column === columns[at]) ? 'in order' : 'otherwise'
}

function partSql(part: Part, { long, constraint }: { readonly long: boolean; readonly constraint: boolean }): string {
  if (long && part.bytes > LONG_PART) return `md5(${part.sql})`
  return part.descending && !constraint ? `${part.sql} DESC` : part.sql
}

function indexPart(mapping: TableMapping, part: IndexPart): Part | string {
  const { column: name, prefix, descending } = part
  if (name === null) return 'it indexes an expression'
  const column = findNamed(mapping.columns, name, ({ source }) => source.name)
  if (column === undefined) return `column ${name} does not exist`
  if (column.source.json) return `column ${name} is JSON`
  const quoted = quotePg(column.name)
  const whole = prefix === null || (column.source.length !== null && prefix >= column.source.length)
  if (whole) return { column, sql: quoted, plain: true, descending, bytes: partBytes(column, null) }
  if (isText(column.source))
    return {
      column,
      sql: `left(${quoted}::text, ${prefix})`,
      plain: false,
      descending,
      bytes: partBytes(column, prefix),
    }
  if (column.type === 'bytea' && isBytes(column.source))
    return { column, sql: `substr(${quoted}, 1, ${prefix})`, plain: false, descending, bytes: prefix }
  return `a prefix of column ${name} has no counterpart in type ${column.type}`
}

/** The maximum number of bytes of a part. */
function partBytes({ source, type }: ColumnMapping, prefix: number | null): number {
  if (isText(source)) return (prefix ?? source.length ?? MAX_ROW) * bytesPerCharacter(source)
  if (type === 'bytea') return source.length ?? MAX_ROW
  if (source.members !== null) {
    const sizes = source.members.map((member) => Buffer.byteLength(member))
    return source.dataType === 'enum' ? Math.max(0, ...sizes) : sizes.reduce((sum, size) => sum + size + 8, 0)
  }
  if (source.dataType === 'decimal') return Math.ceil((source.precision ?? 65) / 2) + 8
  return 24
}

/** In UTF-8, where characters of the 8-bit sets take up to 3 bytes. */
function bytesPerCharacter(source: SourceColumn): number {
  if (source.charset === 'ascii') return 1
  return /^(utf8mb4|utf16|utf16le|utf32|gb18030)$/.test(source.charset ?? 'utf8mb4') ? 4 : 3
}
