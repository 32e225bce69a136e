import type { EngineContext } from '../context.js'
import { drain } from '../drain/drain.js'
import type { Model } from '../model/model.js'
import { noticeUncaptured } from '../upkeep/maintain.js'
import type { VerifiedTable } from '../verify/verify-report.js'
import { type Counters, counterFindings, movedCounters } from './counters.js'
import { blocking, type CutoverFinding } from './finding.js'
import { compareInFull, compareTail } from './tail.js'

/** How far the comparison and the counters have come. */
export interface Standing {
  readonly model: Model
  /** Everything up to this drain was compared, and was equal. */
  readonly drain: number
  /** Tables carried as a whole that have to be compared again. */
  readonly wholes: ReadonlySet<string>
  /** Of the source, when those of the target were set. */
  readonly counters: Counters
  /** What this run has compared in full, by table. */
  readonly verified: ReadonlyMap<string, VerifiedTable>
}

export interface Round {
  readonly standing: Standing
  readonly findings: readonly CutoverFinding[]
  /** Keys that were compared. */
  readonly keys: number
  /** Nothing had changed that it has not compared and counted. */
  readonly isComplete: boolean
}

const DRAIN_WAIT_MS = 60_000

/**
 * Drains, compares what has changed since the round before, and sets the counters that have moved. `settled`: nobody was writing
 * when it began, so it also looks for changes without entries and compares tables that are carried as a whole.
 */
export async function takeRound(
  context: EngineContext,
  { model, drain: since, ...standing }: Standing,
  { settled }: { readonly settled: boolean },
): Promise<Round> {
  if (settled) await drainUnlogged(context, model)
  const tail = await compareTail(context, model, since)
  if (tail === null)
    return { standing: { model, drain: since, ...standing }, findings: [tooManyChanges()], keys: 0, isComplete: false }
  // Read first: what moves afterwards is set by the next round.
  const counters = await context.source.writes.counters()
  const moved = movedCounters(tail.model, { before: standing.counters, now: counters, tail: tail.tables })
  const changed = new Set([...standing.wholes, ...tail.wholes])
  const wholes = [...changed].filter((table) => tail.model.tables.has(table))
  const problems = await counterFindings(context, tail.model, { tables: moved, dryRun: false })
  const full = await compareInFull(context, settled ? wholes : [])
  const verified = new Map(standing.verified)
  for (const table of [...tail.verified, ...full.verified]) verified.set(table.table, table)
  return {
    standing: { model: tail.model, drain: tail.drain, wholes: new Set(settled ? [] : wholes), counters, verified },
    findings: [...tail.findings, ...problems, ...full.findings],
    keys: tail.keys,
    isComplete: settled && tail.left === 0,
  }
}

/** Drains with a look for changes that wrote no entries. */
async function drainUnlogged(context: EngineContext, model: Model): Promise<void> {
  await noticeUncaptured(context, model)
  if (await context.source.catalog.seesStorage()) return
  await drain(context, model, { probe: [...model.tables.keys()], waitMs: DRAIN_WAIT_MS })
}

function tooManyChanges(): CutoverFinding {
  return blocking('not-compared', null, {
    cause: 'more rows have changed since the comparison than their keys are kept of',
    commands: ['mylab-sync cutover'],
  })
}
