import type { DifferingKey, RowKey, WholeComparison } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { Model } from '../model/model.js'
import { keyTexts } from '../rows/key-texts.js'
import { writeTarget } from '../transactions.js'
import { countFindings, type Findings } from './findings.js'
import type { TableWalk } from './table-walk.js'

/** What a repair found in a table, and what is left of it. */
export interface Repaired {
  readonly found: Findings
  readonly left: Findings
}

/** Stores what a command has found in the tables that it compared as a whole, for status. */
export async function recordComparison(
  context: EngineContext,
  { model, walks }: { readonly model: Model; readonly walks: readonly TableWalk[] },
  repairedOf: (walk: TableWalk) => Repaired | undefined = () => undefined,
): Promise<void> {
  const outcomes = walks.flatMap((walk): WholeComparison[] => {
    const { notCompared, span, findings } = walk.state
    if (notCompared !== null || span === null) return []
    const { found, left } = repairedOf(walk) ?? { found: findings, left: findings }
    const differing = countFindings(left)
    const repaired = Math.max(0, countFindings(found) - differing)
    return [{ table: walk.table, found: differingKeys(model, walk.table, left), differing, repaired, passed: span }]
  })
  if (outcomes.length > 0) await writeTarget(context, (target) => target.verification.replace(outcomes))
}

export function differingKeys(
  model: Model,
  table: string,
  { differences, strays }: Pick<Findings, 'differences' | 'strays'>,
): DifferingKey[] {
  const texts = (key: RowKey): string[] => (model.tables.has(table) ? keyTexts(model, table, key) : [])
  return [
    ...differences.map(({ key, kind, columns }): DifferingKey => ({ key, texts: texts(key), kind, columns })),
    ...strays.map((stray): DifferingKey => ({ key: null, texts: stray, kind: 'surplus', columns: [] })),
  ]
}
