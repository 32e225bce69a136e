import { counted } from '@mylab-sync/core'
import { loadModel, type SequencesReport, setSequences } from '@mylab-sync/engine'
import { print, printJson, printTable } from '../output.js'
import { type CommonOptions, withInstallation } from '../session.js'

export async function runSequences(options: CommonOptions & { tables: string[]; set: boolean }): Promise<void> {
  await withInstallation(options, async ({ context, signal }) => {
    const request = { tables: options.tables, dryRun: !options.set }
    const report = await setSequences({ ...context, signal }, await loadModel(context), request)
    if (options.json) printJson({ set: options.set, ...report })
    else show(report, options.set)
    return report.complete ? 0 : 5
  })
}

function show({ tables, withoutCounter }: SequencesReport, isSet: boolean): void {
  const counters = tables.filter(({ problem }) => problem === null)
  const behind = counters.filter(({ before, next }) => before !== next).length
  print(
    isSet
      ? `${counted(counters.length, 'sequence')} set to the counters of the source.`
      : `${behind} of ${counted(counters.length, 'sequence')} not at the counter of the source${behind === 0 ? '' : ': mylab-sync sequences --set'}.`,
  )
  for (const { table, column, problem, remedy } of tables)
    if (problem !== null) print(`${table}.${column}: ${problem}${remedy === null ? '' : `; ${remedy}`}`)
  if (withoutCounter.length > 0) print(`without AUTO_INCREMENT: ${withoutCounter.join(', ')}`)
  if (counters.length === 0) return
  printTable(
    ['table', 'column', 'sequence', 'before', isSet ? 'now' : 'source'],
    counters.map(({ table, column, sequence, before, next }) => [
      table,
      column,
      sequence ?? '',
      before ?? '',
      next ?? '',
    ]),
  )
}
