import type { ResolvedConfig } from '@mylab-sync/config'
import { type EngineContext, matches, pause, status } from '@mylab-sync/engine'
import { print, printJson, printTable } from '../output.js'
import { healthProblems, queueHealth } from '../queue.js'
import { type CommonOptions, type Session, withInstallation } from '../session.js'

interface Shown {
  readonly json: boolean
  readonly problems: boolean
  readonly tables: readonly string[]
}

export async function runStatus(
  options: CommonOptions & { problems: boolean; tables: string[]; watch: boolean },
): Promise<void> {
  await withInstallation(options, (session) =>
    options.watch ? watch(session, options) : showStatus(session.context, session.config, options),
  )
}

const WATCH_MS = 2_000
const HOME_AND_CLEAR = '\u001b[H\u001b[2J'

/** Every two seconds until the session's signal: in place on a terminal, below each other elsewhere. */
async function watch({ context, config, signal }: Session, shown: Shown): Promise<number> {
  let code = 0
  while (!signal.aborted) {
    if (process.stdout.isTTY && !shown.json) process.stdout.write(HOME_AND_CLEAR)
    code = await showStatus(context, config, shown)
    await pause(WATCH_MS, signal)
  }
  return code
}

export async function showStatus(context: EngineContext, config: ResolvedConfig, shown: Shown): Promise<number> {
  const known = await status(context)
  const missing = config.useQueue ? healthProblems(await queueHealth(config)) : []
  const report = {
    ...known,
    sentence: [known.sentence, ...missing.map(asSentence)].join(' '),
    problems: [...missing, ...known.problems],
  }
  const tables = report.tables.filter((table) => shown.tables.length === 0 || matches(table.table, shown.tables))
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
