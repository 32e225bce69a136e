import type { EngineContext } from '../context.js'
import type { Model } from '../model/model.js'
import { setSequences } from '../upkeep/sequences.js'
import type { CutoverFinding } from './finding.js'

/** Sets the counters of these tables, or only looks at them; returns those that would give an INSERT no number. */
export async function counterFindings(
  context: EngineContext,
  model: Model,
  { tables, dryRun }: { readonly tables: readonly string[]; readonly dryRun: boolean },
): Promise<CutoverFinding[]> {
  if (tables.length === 0) return []
  const report = await setSequences(context, model, { tables, dryRun })
  return report.tables.flatMap(({ table, column, problem, remedy }): CutoverFinding[] =>
    problem === null
      ? []
      : [
          {
            code: 'counter',
            severity: 'blocks',
            table,
            cause: `column ${column}: ${problem}`,
            on: 'target',
            when: 'before',
            sql: remedy === null ? [] : [remedy],
          },
        ],
  )
}

/** Numbers that the source would give next, by table. */
export type Counters = ReadonlyMap<string, bigint>

/**
 * The tables whose counter may have to be set again. An INSERT moves the source's counter; an UPDATE that gives a row a
 * greater number does not, which only the changed keys show, or nothing where another column is the key.
 */
export function movedCounters(
  model: Model,
  { before, now, tail }: { readonly before: Counters; readonly now: Counters; readonly tail: Counters },
): string[] {
  return [...model.tables].flatMap(([table, { source, key }]) => {
    const counter = source.columns.find((column) => column.autoIncrement)?.name
    if (counter === undefined) return []
    const isKey = key?.columns.length === 1 && key.columns[0]?.column.source.name === counter
    const next = now.get(table) ?? 0n
    const changed = tail.get(table)
    const isMoved = next !== before.get(table) || (changed !== undefined && (!isKey || changed >= next))
    return isMoved || model.isFullTable(table) ? [table] : []
  })
}
