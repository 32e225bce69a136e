import type { ResolvedConfig } from '@mylab-sync/config'
import { SyncError } from '@mylab-sync/core'
import {
  type EngineContext,
  listNotCarried,
  filterOf,
  notCarriedGroups,
  type NotCarriedReport,
  type Problem,
  status,
  type TableStatus,
} from '@mylab-sync/engine'
import { sleep } from '@mylab-sync/runtime'
import { print, printJson, printTable, tell } from '../output.js'
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

const PROBLEMS = 5
const WATCH_MS = 2_000
const HOME_AND_CLEAR = '\u001b[H\u001b[2J'

/** Refreshes every two seconds until the session's signal: in place on a terminal, appended elsewhere. */
async function watch({ context, config, signal }: Session, shown: Shown): Promise<number> {
  let code = 0
  while (!signal.aborted) {
    if (process.stdout.isTTY && !shown.json) process.stdout.write(HOME_AND_CLEAR)
    code = await showStatus(context, config, shown)
    await sleep(WATCH_MS, signal)
  }
  return code
}

export async function showStatus(context: EngineContext, config: ResolvedConfig, shown: Shown): Promise<number> {
  const known = await status(context)
  const missing = config.useQueue ? healthProblems(await queueHealth(config)) : []
  const report = {
    ...known,
    sentence: [known.sentence, ...missing.map(asSentence)].join(' '),
    problems: [
      ...missing,
      ...known.problems.filter((problem) => isOfConstraint(problem) || isOfCutover(problem)).map(lineOf),
    ],
  }
  const isNamed = filterOf(shown.tables)
  const isShown = ({ table }: { readonly table: string | null }): boolean => table === null || isNamed(table)
  const tables = report.tables.filter(isShown)
  const ofTables = known.problems.filter((problem) => isOfTable(problem) && isShown(problem))
  const problems = [...ofTables.map(lineOf), ...report.problems]
  const left = shown.problems ? await notCarriedNow(context) : null
  const notCarried = left === null ? null : { ...left, tables: left.tables.filter(isShown) }
  if (shown.json)
    printJson({
      mode: config.useQueue ? 'queue' : 'direct',
      ...report,
      tables,
      ...(notCarried === null ? {} : { notCarried }),
    })
  else {
    print(report.sentence)
    if (!shown.problems) printTables(tables)
    for (const problem of problems) print(`problem: ${problem}`)
    if (notCarried !== null) showNotCarried(notCarried)
  }
  return shown.problems && problems.length > 0 ? PROBLEMS : 0
}

/** Returns null and prints why if the definitions cannot be read now: the status is correct without them. */
async function notCarriedNow(context: EngineContext): Promise<NotCarriedReport | null> {
  try {
    return await listNotCarried(context)
  } catch (error) {
    if (!(error instanceof SyncError)) throw error
    tell(`mylab-sync: what is not carried cannot be listed now: ${error.message}`)
    return null
  }
}

function printTables(tables: readonly TableStatus[]): void {
  const rows = tables.map((t) => [t.table, t.state, t.rowsCopied, t.pending, t.parked, t.quarantined, t.problem ?? ''])
  printTable(['table', 'state', 'copied', 'pending', 'parked', 'quarantined', 'problem'], rows)
}

function isOfCutover({ code }: Problem): boolean {
  return code === 'source-written-after-cutover' || code === 'source-read-only' || code === 'cutover-taken-back'
}

function isOfConstraint({ code }: Problem): boolean {
  return code === 'constraint-not-held'
}

/** Changes that wait are none of these: between two drains of a cron job they do, and the sentence says so. */
function isOfTable(problem: Problem): boolean {
  return !isOfConstraint(problem) && !isOfCutover(problem) && problem.code !== 'changes-stalled'
}

function lineOf({ table, code, text }: Problem): string {
  return `${table === null ? '' : `${table}: `}${text}${code === 'rows-quarantined' ? `; mylab-sync show-errors --table ${table}` : ''}`
}

/** Lists objects that are not carried, for information only: one line per kind, the places below it. */
function showNotCarried(report: NotCarriedReport): void {
  const groups = notCarriedGroups(report)
  if (groups.length > 0) print('Not carried; no action needed (see also mylab-sync plan):')
  for (const { text, reason, items } of groups) {
    print(`  ${text}${reason === null ? '' : `: ${reason}`}`)
    for (const item of items) print(`    ${item.table}: ${item.text}`)
  }
}

function asSentence(problem: string): string {
  return `${problem.charAt(0).toUpperCase()}${problem.slice(1)}.`
}
