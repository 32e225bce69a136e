import type { EngineContext } from '../context.js'
import { loadModel, wholeModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { selectionOf } from '../model/selection.js'
import { status } from '../report/status.js'
import { counterFindings } from './counters.js'
import { blocking, type CutoverFinding } from './finding.js'
import { objectFindings } from './object-findings.js'
import { stateFindings } from './state-findings.js'

/** Everything that stands in the way of a cutover, what blocks it first. Changes nothing. */
export async function listObstacles(context: EngineContext): Promise<CutoverFinding[]> {
  return await obstaclesOf(context, await loadModel(context))
}

/** As `listObstacles`, by definitions that were read already. */
export async function obstaclesOf(context: EngineContext, model: Model): Promise<CutoverFinding[]> {
  const state = await blockingFindings(context, model)
  const open = [...model.tables.keys()].filter((table) => !state.some((each) => each.table === table))
  const counters = await counterFindings(context, model, { tables: open, dryRun: true })
  const all = [...state, ...counters, ...(await leftOut(context)), ...(await objectFindings(context, model))]
  return [...all.filter(({ severity }) => severity === 'blocks'), ...all.filter(({ severity }) => severity === 'note')]
}

/** Only what depends on the state of both sides: a few queries. */
export async function blockingFindings(context: EngineContext, model: Model): Promise<CutoverFinding[]> {
  const { phase } = await context.target.cutover.state()
  const unfinished =
    phase === 'taken-back'
      ? [
          blocking('abort-unfinished', null, {
            cause: 'an earlier cutover was taken back, and its tables have yet to be compared',
            commands: ['mylab-sync cutover --abort'],
          }),
        ]
      : []
  return [...unfinished, ...(await stateFindings(context, model, await status(context)))]
}

async function leftOut(context: EngineContext): Promise<CutoverFinding[]> {
  const { catalog } = await wholeModel(context)
  const isSelected = selectionOf(context.options)
  return catalog.tables
    .filter(({ name }) => !isSelected(name))
    .map(
      ({ name }): CutoverFinding => ({
        code: 'table-left-out',
        severity: 'note',
        table: name,
        cause: 'tables.include and tables.exclude leave it out, so it stays in the source',
        on: 'shell',
        when: 'before',
        sql: [],
      }),
    )
}
