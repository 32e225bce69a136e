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
