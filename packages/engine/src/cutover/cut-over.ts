import { SyncError } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { blocking, blocks, type CutoverFinding } from './finding.js'
import { blockingFindings } from './obstacles.js'
import { prepare } from './prepare.js'
import { type HandOverRecord, recordOf } from './record.js'
import { untilReadersLeave } from './readers.js'
import type { Standing } from './round.js'
import { holdOff, type StopRequest, Stopping } from './stop.js'
import { cutoverTables } from './tables.js'
import type { LogWatch } from './watch.js'

export interface CutoverRequest extends StopRequest {
  /** Gives foreign keys the source's actions. */
  readonly withActions: boolean
  /** Compares all rows in this run, so that the report can say what was compared. */
  readonly withEvidence?: boolean
  readonly onStep?: (step: string) => void
}

export interface CutoverReport {
  /** The application may write PostgreSQL from now on. */
  readonly done: boolean
  readonly findings: readonly CutoverFinding[]
  /** From the last captured write, or from making the source read-only, to the switch; null: not in this run. */
  readonly stoppedMs: number | null
  /** Keys that were compared again after the writes had stopped. */
  readonly tailKeys: number
  /** What was done, and what was compared; null: not in this run. */
  readonly record: HandOverRecord | null
}

const SWITCH_WAIT_MS = 30_000

/**
 * Hands over to PostgreSQL (decision 0014). Everything that takes long is done while the application writes; the switch is one
 * transaction of the target. May be killed anywhere and run again. Refuses, with findings, what would lose something.
 */
export async function cutOver(context: EngineContext, asked: CutoverRequest): Promise<CutoverReport> {
  const steps: HandOverRecord['steps'][number][] = []
  const onStep = (step: string): void => {
    steps.push({ at: new Date().toISOString(), step })
    asked.onStep?.(step)
  }
  const request = { ...asked, onStep }
  const state = await context.target.cutover.state()
  if (state.phase === 'done') return finish(context, { stoppedMs: null, tailKeys: 0 })
  const prepared = await prepare(context, state, { onStep, withEvidence: asked.withEvidence === true })
  if ('findings' in prepared) return refused(prepared.findings)
  const work = (): Promise<Switched | CutoverFinding[]> => stopAndSwitch(context, request, prepared.standing)
  const switched = await withWritesStopped(context, work, request)
  if (Array.isArray(switched)) return refused(switched)
  const report = await finish(context, switched, onStep)
  return { ...report, record: await recordOf(context, request, { ...prepared, ...switched, steps }) }
}

/** Keeps control work and verification out meanwhile. Unless the switch was made, the source may be written again afterwards. */
async function withWritesStopped<T>(
  context: EngineContext,
  work: () => Promise<T>,
  { setReadOnly, onStep }: CutoverRequest,
): Promise<T> {
  await using control = await holdOff(context, 'maintain')
  // Its snapshot would hold tables that the switch alters.
  await using verification = await holdOff(context, 'verify')
  void control
  void verification
  onStep?.(setReadOnly ? 'making the source read-only' : 'waiting for the application to stop writing: stop it now')
  try {
    return await work()
  } finally {
    // A failed commit may have been made.
    if ((await context.target.cutover.state()).phase === 'following') await context.source.writes.allow()
  }
}

function refused(findings: readonly CutoverFinding[]): CutoverReport {
  return { done: false, findings, stoppedMs: null, tailKeys: 0, record: null }
}

type Stopped = Pick<CutoverReport, 'stoppedMs' | 'tailKeys'>

interface Switched extends Stopped {
  readonly standing: Standing
}

/** From the stop of the writes to the switch; returns why it was not made. */
async function stopAndSwitch(
  context: EngineContext,
  request: CutoverRequest,
  standing: Standing,
): Promise<Switched | CutoverFinding[]> {
  const stopping = await Stopping.begin(context, request, standing)
  for (;;) {
    const quiet = await stopping.untilQuiet()
    if (quiet === null) return [sourceWritten()]
    if ('findings' in quiet) return [...quiet.findings]
    const { model } = quiet.standing
    const findings = (await blockingFindings(context, model)).filter(blocks)
    if (findings.length > 0) return findings
    if (await makeSwitch(context, request, { model, watch: quiet.watch }))
      return { stoppedMs: performance.now() - quiet.watch.since, tailKeys: quiet.keys, standing: quiet.standing }
    if (stopping.isOver) return [sourceWritten()]
    stopping.goOn()
  }
}

function sourceWritten(): CutoverFinding {
  return blocking('source-written', null, {
    cause: 'the application still writes the source',
    commands: ['mylab-sync cutover # once the application is stopped', 'mylab-sync cutover --set-read-only'],
  })
}

/** Returns false, with nothing changed, if the source was written meanwhile. */
async function makeSwitch(
  context: EngineContext,
  { withActions }: CutoverRequest,
  { model, watch }: { readonly model: Model; readonly watch: LogWatch },
): Promise<boolean> {
  const tables = cutoverTables(model)
  const once = async (): Promise<boolean> => {
    await using target = await context.target.cutover.begin({ waitMs: SWITCH_WAIT_MS })
    if ((await target.state()).phase !== 'following')
      throw new SyncError('lock-timeout', 'another process has changed the phase of the cutover', {
        remedy: 'mylab-sync status; then mylab-sync cutover again',
      })
    await target.harden(tables, { withActions })
    await target.enter('done', { withActions })
    // Last, so that as little as possible is written after it.
    if (!(await watch.isStill())) return false
    await target.commit()
    return true
  }
  return untilReadersLeave(once)
}

/** What blocks no write of the application: validating foreign keys that the switch has made anew. */
async function finish(
  context: EngineContext,
  { stoppedMs, tailKeys }: Stopped,
  onStep?: (step: string) => void,
): Promise<CutoverReport> {
  onStep?.(HANDED_OVER)
  await context.target.cutover.validate(cutoverTables(await loadModel(context)))
  return { done: true, findings: [], stoppedMs, tailKeys, record: null }
}

export const HANDED_OVER = 'point the application at PostgreSQL now'
