import type { CutoverState } from '@mylab-sync/core'
import { type EngineContext, throwIfStopped } from '../context.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { readTarget } from '../transactions.js'
import { maintain } from '../upkeep/maintain.js'
import { verify } from '../verify/verify.js'
import { counterFindings } from './counters.js'
import { blocks, type CutoverFinding } from './finding.js'
import { obstaclesOf } from './obstacles.js'
import { type Round, type Standing, takeRound } from './round.js'
import { fullFindings } from './tail.js'
import { cutoverTables } from './tables.js'

type Findings = Pick<Round, 'findings'>

/** A round that compared no more keys, or took no longer, costs little once the writes are stopped. */
const FEW_KEYS = 1_000
const SHORT_MS = 1_500
const MAX_ROUNDS = 5

export interface PrepareRequest {
  /** Compares all rows in this run, even if an earlier one has. */
  readonly withEvidence: boolean
  readonly onStep?: ((step: string) => void) | undefined
}

export interface Prepared {
  readonly standing: Standing
  /** What the application loses. */
  readonly notes: readonly CutoverFinding[]
}

/** Everything that can be done while the application writes; returns what blocks. */
export async function prepare(
  context: EngineContext,
  state: CutoverState,
  { onStep, withEvidence }: PrepareRequest,
): Promise<Prepared | Findings> {
  onStep?.('building what is missing')
  const model = await loadModel(context)
  await maintain(context, model)
  const found = await obstaclesOf(context, model)
  if (found.some(blocks)) return { findings: found.filter(blocks) }
  await context.target.cutover.prepare(cutoverTables(model), () => throwIfStopped(context))
  // Again in the end for those that have moved until then.
  const counters = await context.source.writes.counters()
  await counterFindings(context, model, { tables: [...model.tables.keys()], dryRun: false })
  let compared = withEvidence ? null : await comparedSince(context, model, state)
  if (compared === null) {
    onStep?.('comparing all rows')
    const all = await compareAll(context, model)
    if ('findings' in all) return all
    compared = all
  }
  onStep?.('comparing the rows that have changed since')
  const standing = await shrinkTail(context, { model, counters, ...compared })
  return 'findings' in standing ? standing : { standing, notes: found }
}

type Compared = Pick<Standing, 'drain' | 'wholes' | 'verified'>

const carriedAsWholes = (model: Model): string[] => [...model.tables.keys()].filter((table) => model.isFullTable(table))

/** What an earlier run has compared, if the keys changed since are still known. */
async function comparedSince(
  context: EngineContext,
  model: Model,
  { isCompared, keptDrain }: CutoverState,
): Promise<Compared | null> {
  if (!isCompared || keptDrain === null) return null
  const isKept = await readTarget(context, ({ history }) => history.keepsAfter(keptDrain))
  return isKept ? { drain: keptDrain, wholes: new Set(carriedAsWholes(model)), verified: new Map() } : null
}

async function compareAll(context: EngineContext, model: Model): Promise<Compared | Findings> {
  const { number: keptDrain } = await readTarget(context, ({ history }) => history.last())
  await context.target.cutover.note({ keptDrain, isCompared: false })
  const { tables } = await verify(context, { tables: [...model.tables.keys()] })
  // One that every drain carries can be compared once the writes have stopped.
  const isLeft = (table: string, notCompared: string | null): boolean =>
    notCompared !== null && model.isFullTable(table)
  const findings = tables.flatMap((each) => (isLeft(each.table, each.notCompared) ? [] : fullFindings(each)))
  if (findings.length > 0) return { findings }
  await context.target.cutover.note({ keptDrain, isCompared: true })
  const left = tables.filter(({ table, notCompared }) => isLeft(table, notCompared))
  const verified = new Map(tables.map((table) => [table.table, table]))
  return { drain: keptDrain, wholes: new Set(left.map(({ table }) => table)), verified }
}

/** Each round compares what has changed during the one before, so the last one finds little to do. */
async function shrinkTail(context: EngineContext, from: Standing): Promise<Standing | Findings> {
  let standing = from
  for (let round = 0; ; round++) {
    const began = performance.now()
    const { findings, keys, ...taken } = await takeRound(context, standing, { settled: false })
    if (findings.length > 0) return { findings }
    standing = taken.standing
    await context.target.cutover.note({ keptDrain: standing.drain, isCompared: true })
    if (keys <= FEW_KEYS || performance.now() - began <= SHORT_MS || round >= MAX_ROUNDS) return standing
  }
}
