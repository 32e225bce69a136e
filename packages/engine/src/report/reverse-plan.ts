import type { ColumnMapping } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { problemIn } from '../tables/set-aside.js'
import { loadModel } from '../model/load.js'

/** What a way back from PostgreSQL would take for one table. */
export interface ReversedTable {
  readonly table: string
  /** Columns that address its rows; null: changes could only be carried by copying all of it. */
  readonly key: readonly string[] | null
  /** Columns whose values do not all go back as they are, with the reason. */
  readonly lossy: readonly { readonly column: string; readonly reason: string }[]
  /** Columns that the source computes by itself: values must not be written there. */
  readonly generated: readonly string[]
  /** The column whose AUTO_INCREMENT would follow its sequence. */
  readonly counter: string | null
  /** Triggers of the application in the target: what they write would be carried too. */
  readonly triggers: readonly string[]
  readonly problem: string | null
}

export interface ReversePlan {
  /** Nothing carries changes back. */
  readonly built: false
  readonly tables: readonly ReversedTable[]
  /** Triggers of the application at the source, which would fire on rows that come back; null: the account may not see them. */
  readonly sourceTriggers: number | null
}

/** By type in the target, without length. */
const LOSSY: Readonly<Record<string, string>> = {
  jsonb: 'its text is not kept: order of keys, doubled keys and white space',
  date: 'infinity, and years before 1 or after 9999',
  timestamp: 'infinity, and years before 1 or after 9999',
  timestamptz: 'times before 1970 or after 2038-01-19',
  interval: 'more than 838 hours, and months',
  'double precision': 'NaN and infinity',
  real: 'NaN and infinity',
  numeric: 'NaN and infinity, and more digits than the column holds',
  text: 'texts longer than the column, and characters that its character set lacks',
  varchar: 'characters that its character set lacks',
  char: 'characters that its character set lacks',
  boolean: 'numbers other than 0 and 1 became true',
  bytea: 'values longer than the column',
}

/** Plans a way back, which does not exist: only reads both sides. */
export async function reversePlan(context: EngineContext, patterns: readonly string[]): Promise<ReversePlan> {
  const model = await loadModel(context)
  const mappings = model.select(patterns).map((table) => model.mapping(table))
  const hindrances = new Map((await context.target.tables.hindrances(mappings)).map((each) => [each.table, each]))
  const others = await context.source.catalog.otherObjects()
  const tables = mappings.map(({ source, key, columns }): ReversedTable => {
    const { broken = null, triggers = [] } = hindrances.get(source.name) ?? {}
    return {
      table: source.name,
      key: key && key.columns.map(({ column }) => column.name),
      lossy: columns.flatMap(lossOf),
      generated: columns.filter((column) => column.source.generated !== null).map(({ name }) => name),
      counter: columns.find((column) => column.source.autoIncrement)?.name ?? null,
      triggers,
      problem: broken && problemIn(broken),
    }
  })
  return { built: false, tables, sourceTriggers: others.counts.triggers }
}

function lossOf({ name, type, castType, source }: ColumnMapping): { column: string; reason: string }[] {
  const reason = LOSSY[type] ?? LOSSY[castType] ?? LOSSY[type.replace(/\(.*\)/, '')]
  if (source.members !== null) return [{ column: name, reason: 'values that are no member' }]
  if (source.generated !== null || reason === undefined) return []
  return [{ column: name, reason }]
}
