import type { ResolvedConfig } from '@mylab-sync/config'
import { type EngineContext, status } from '@mylab-sync/engine'
import { print, printJson, printTable } from '../output.js'
import { healthProblems, queueHealth } from '../queue.js'
import { type CommonOptions, withSession } from '../session.js'

interface Shown {
  readonly json: boolean
  readonly problems: boolean
  readonly tables: readonly string[]
}

export async function runStatus(options: CommonOptions & { problems: boolean; tables: string[] }): Promise<void> {
  await withSession(options, ({ context, config }) => showStatus(context, config, options))
}

export async function showStatus(context: EngineContext, config: ResolvedConfig, shown: Shown): Promise<number> {
  const known = await status(context)
  const missing = config.useQueue ? healthProblems(await queueHealth(config)) : []
  const report = {
    ...known,
    sentence: [known.sentence, ...missing.map(asSentence)].join(' '),
    problems: [...missing, ...known.problems],
  }
  const tables = report.tables.filter((table) => shown.tables.length === 0 || shown.tables.includes(table.table))
  if (shown.json) {
    printJson({ mode: config.useQueue ? 'queue' : 'direct', ...report, tables })
    return 0
  }
  print(report.sentence)
  if (!shown.problems) {
    const rows = tables.map((t) => [
      t.table,
      t.state,
      t.rowsCopied,
      t.pending,
      t.parked,
      t.quarantined,
      t.problem ?? '',
    ])
    printTable(['table', 'state', 'copied', 'pending', 'parked', 'quarantined', 'problem'], rows)
  }
  const problems = [
    ...tables.flatMap((table) => (table.problem === null ? [] : [`${table.table}: ${table.problem}`])),
    ...report.problems,
  ]
  for (const problem of problems) print(`problem: ${problem}`)
  return shown.problems && problems.length > 0 ? 5 : 0
}

function asSentence(problem: string): string {
  return `${problem.charAt(0).toUpperCase()}${problem.slice(1)}.`
}
