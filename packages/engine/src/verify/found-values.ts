import type { RawRow, RowKey, TableMapping } from '@mylab-sync/core'
import { isUtf8 } from 'node:buffer'
import type { EngineContext } from '../context.js'
import { KEYS_PER_QUERY } from '../slice/closure.js'
import { slices } from '../slice/dirty-keys.js'
import { Moment } from './moment.js'
import type { FoundKey, Verification, VerifyReport } from './verify-report.js'

type Values = ReadonlyMap<string, string | null>

/** Adds the values of differing columns to the report, as of one later moment; a row that one side lacks by then gets none. */
export async function withValues(
  context: EngineContext,
  verification: Verification,
  report: VerifyReport,
): Promise<VerifyReport> {
  if (report.tables.every(({ keys }) => keys.length === 0)) return report
  await using moment = await Moment.open(context, verification.model)
  const tables: VerifyReport['tables'][number][] = []
  for (const [at, table] of report.tables.entries()) {
    const differences = verification.walks[at]?.state.findings.differences ?? []
    const mapping = moment.model.tables.get(table.table)
    const differing = differences.filter(({ kind }) => kind === 'different').map(({ key }) => key)
    const values = mapping ? await valuesOf(moment, mapping, differing) : new Map<RowKey, Sides>()
    tables.push({ ...table, keys: table.keys.map((found, n) => withOwn(found, values.get(differences[n]?.key ?? ''))) })
  }
  return { ...report, tables }
}

type Sides = { readonly source: Values; readonly target: Values }

function withOwn(found: FoundKey, sides: Sides | undefined): FoundKey {
  if (found.kind !== 'different' || sides === undefined) return found
  const { source, target } = sides
  const values = found.columns.map((column) => ({
    column,
    source: source.get(column) ?? null,
    target: target.get(column) ?? null,
  }))
  return { ...found, values }
}

async function valuesOf(
  { source, target }: Moment,
  mapping: TableMapping,
  keys: readonly RowKey[],
): Promise<ReadonlyMap<RowKey, Sides>> {
  const names = mapping.columns.map((column) => column.source.name)
  const found = new Map<RowKey, Sides>()
  for (const list of slices(keys, KEYS_PER_QUERY)) {
    const theirs = await target.comparison.texts(mapping, list)
    for (const { key, values } of await source.rows.readColumns(mapping, list, names)) {
      const row = theirs.get(key)
      if (row) found.set(key, { source: byName(names, values.map(shown)), target: byName(names, row) })
    }
  }
  return found
}

function byName(names: readonly string[], texts: readonly (string | null)[]): Values {
  return new Map(names.map((name, at) => [name, texts[at] ?? null]))
}

function shown(value: RawRow['values'][number]): string | null {
  if (value === null) return null
  return isUtf8(value) ? value.toString('utf8') : `0x${value.toString('hex')}`
}
