import { both } from '@mylab-sync/runtime'
import type { EngineContext } from '../context.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { readTarget, writeTarget } from '../transactions.js'
import { maintain } from '../upkeep/maintain.js'
import { repair } from '../verify/repair.js'
import type { VerifyReport } from '../verify/verify-report.js'
import type { CutoverFinding } from './finding.js'
import { untilReadersLeave } from './readers.js'
import { cutoverTables } from './tables.js'

export interface AbortRequest {
  /** Rows that were written to the target since the switch may be lost. */
  readonly discardWrites: boolean
  readonly onStep?: (step: string) => void
}

export type AbortReport =
  /** No cutover was made or begun. */
  | { readonly kind: 'nothing' }
  /** It was begun, and what it had prepared is gone. */
  | { readonly kind: 'given-up' }
  /** The target was written; nothing was changed. */
  | { readonly kind: 'refused'; readonly findings: readonly CutoverFinding[] }
  /** The target follows again. Rows that differed were read again; `left` is what still differs. */
  | { readonly kind: 'taken-back'; readonly found: VerifyReport; readonly left: VerifyReport }

const WAIT_MS = 60_000

/** Goes back to following the source, from any step of a cutover. May be killed anywhere and run again. */
export async function abortCutover(context: EngineContext, request: AbortRequest): Promise<AbortReport> {
  const { cutover } = context.target
  const { phase, since } = await cutover.state()
  const { writes } = context.source
  const model = await loadModel(context)
  if (phase === 'following') {
    const isForbidden = await writes.isForbidden()
    if (isForbidden) await writes.allow()
    await cutover.discard(cutoverTables(model))
    await cutover.forget()
    return { kind: since === null && !isForbidden ? 'nothing' : 'given-up' }
  }
  if (phase === 'done') {
    request.onStep?.('looking for rows of the target that are newer than the cutover')
    const findings = request.discardWrites ? [] : await targetWrites(context, model)
    if (findings.length > 0) return { kind: 'refused', findings }
    await takeBack(context, model)
  }
  await writes.allow()
  request.onStep?.('the application may write the source again')
  return compareAgain(context, request)
}

async function takeBack(context: EngineContext, model: Model): Promise<void> {
  const once = async (): Promise<void> => {
    await using target = await context.target.cutover.begin({ waitMs: WAIT_MS })
    await target.loosen(cutoverTables(model))
    await target.enter('taken-back')
    await target.commit()
  }
  await untilReadersLeave(once)
}

/** Until then nobody knows whether the rows are those of the source. */
async function compareAgain(context: EngineContext, { onStep }: AbortRequest): Promise<AbortReport> {
  const model = await loadModel(context)
  await writeTarget(context, ({ verification }) => verification.forget())
  onStep?.('comparing all rows, and reading those that differ again')
  const { found, left } = await repair(context, { tables: [] })
  await maintain(context, model)
  if (left.equal) await context.target.cutover.forget()
  return { kind: 'taken-back', found, left }
}

/** Tables that hold rows newer than the switch, or another number of rows than the source, which nobody has written since. */
async function targetWrites(context: EngineContext, model: Model): Promise<CutoverFinding[]> {
  const mappings = [...model.tables.values()]
  const written = new Set((await context.target.cutover.writtenSince(mappings)).map(({ source }) => source.name))
  for (const table of await differentCounts(context, model)) written.add(table)
  return [...written].sort().map((table) => ({
    code: 'target-written',
    severity: 'blocks',
    table,
    cause: 'rows were written in PostgreSQL since the cutover; going back replaces them by those of the source',
    on: 'shell',
    when: 'before',
    sql: ['mylab-sync cutover --abort --yes'],
  }))
}

/** Finds rows that were deleted. A table that the source has written since is left out. */
async function differentCounts(context: EngineContext, model: Model): Promise<string[]> {
  const { tables: pending } = await context.source.log.pending()
  const moved = new Set(pending.map(({ table }) => table))
  await using source = await context.source.openSnapshot()
  return await readTarget(context, async (target) => {
    const still = [...model.tables].filter(([table]) => !moved.has(table))
    const [here, there] = await both(
      source.rows.counts(still.map(([table]) => table)),
      target.lookup.counts(still.map(([, mapping]) => mapping)),
    )
    return still.flatMap(([table], at) => (here[at] === there[at] ? [] : [table]))
  })
}
