import type { ResolvedConfig } from '@mylab-sync/config'
import { SyncError } from '@mylab-sync/core'
import {
  type EngineContext,
  type DifferingRow,
  listDiffering,
  listNotCarried,
  filterOf,
  notCarriedGroups,
  type NotCarriedReport,
  type Problem,
  status,
  type StatusReport,
  type TableStatus,
} from '@mylab-sync/engine'
import { sleep } from '@mylab-sync/runtime'
import { print, printJson, printTable, tell } from '../output.js'
import { healthProblems, queueHealth } from '../queue.js'
import { type CommonOptions, type Session, withInstallation } from '../session.js'
import { differingLine, paceLine, verifiedText } from './verification-lines.js'

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
  const details = shown.problems ? await detailsOf(context, isShown) : null
  if (shown.json) printJson({ mode: config.useQueue ? 'queue' : 'direct', ...report, tables, ...details })
  else printStatus({ ...report, tables, problems }, details)
  return shown.problems && problems.length > 0 ? PROBLEMS : 0
}

/** What `--problems` shows besides. */
interface Details {
  readonly differing: readonly DifferingRow[]
  readonly notCarried?: NotCarriedReport
}

async function detailsOf(
  context: EngineContext,
  isShown: (row: { readonly table: string }) => boolean,
): Promise<Details> {
  const differing = (await listDiffering(context)).filter(isShown)
  const left = await notCarriedNow(context)
  return { differing, ...(left === null ? {} : { notCarried: { ...left, tables: left.tables.filter(isShown) } }) }
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

function printStatus(
  {
    sentence,
    tables,
    problems,
    verification,
  }: Pick<StatusReport, 'sentence' | 'tables' | 'verification'> & {
    readonly problems: readonly string[]
  },
  details: Details | null,
): void {
  print(sentence)
  if (details === null) printTables(tables)
  for (const problem of problems) print(`problem: ${problem}`)
  if (details === null) return print(paceLine(verification))
  for (const row of details.differing) print(differingLine(row))
  if (details.notCarried) showNotCarried(details.notCarried)
}

function printTables(tables: readonly TableStatus[]): void {
  const rows = tables.map((t) => [
    t.table,
    t.state,
    t.rowsCopied,
    t.pending,
    t.parked,
    t.quarantined,
    verifiedText(t),
    t.problem ?? '',
  ])
  printTable(['table', 'state', 'copied', 'pending', 'parked', 'quarantined', 'verified', 'problem'], rows)
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

const COMMANDS: Readonly<Partial<Record<Problem['code'], string>>> = {
  'rows-quarantined': 'mylab-sync show-errors',
  'rows-differ': 'mylab-sync repair',
}

function lineOf({ table, code, text }: Problem): string {
  const command = COMMANDS[code]
  return `${table === null ? '' : `${table}: `}${text}${command === undefined ? '' : `; ${command} --table ${table}`}`
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
