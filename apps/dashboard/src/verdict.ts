import { isOpen } from '@mylab-sync/core'
import { type StatusReport, type TableStatus, waitsForSomebody } from '@mylab-sync/engine'
import type { Problem, Verdict } from './page/shape.js'

/** Why the last read of the status failed. Never a driver's text, which may quote data. */
export interface Fault {
  readonly code: string
  readonly message: string
  readonly remedy: string | null
}

/** Drains follow each other in well under a second; a change that waits this long is not being drained. */
const STALLED_MS = 60_000

/** Every problem of the report as a sentence, with its remedy. */
export function problemsOf(report: StatusReport, health: readonly string[]): Problem[] {
  const others = health.map((text) => ({ table: null, text, remedy: null }))
  return [...stalled(report), ...others, ...report.tables.flatMap(ofTable), ...report.problems.map(ofConstraint)]
}

function stalled({ lagMs }: StatusReport): Problem[] {
  if (lagMs === null || lagMs < STALLED_MS) return []
  return [
    {
      table: null,
      text: `The oldest change has waited for ${Math.round(lagMs / 1000)} s.`,
      remedy: 'See that a drain runs: mylab-sync database --daemon, a worker, or cron.',
    },
  ]
}

function ofTable(status: TableStatus): Problem[] {
  const { table, state, problem, quarantined } = status
  const problems: Problem[] = []
  const remedy = waitsForSomebody(status) ? RUN_STATEMENT : (REMEDIES[state]?.(table) ?? null)
  if (problem !== null) problems.push({ table, text: problem, remedy })
  else if (state === 'broken' || state === 'suspect' || state === 'gone')
    problems.push({ table, text: `is ${state}`, remedy })
  if (quarantined > 0)
    problems.push({
      table,
      text: `${quarantined} ${quarantined === 1 ? 'row is' : 'rows are'} quarantined: PostgreSQL cannot hold ${quarantined === 1 ? 'it' : 'them'} as ${quarantined === 1 ? 'it is' : 'they are'}.`,
      remedy: `Mend the rows in the source, a changed row is tried again by itself; mylab-sync show-errors --table ${table} lists them.`,
    })
  return problems
}

const RUN_STATEMENT = 'Run the statement that it names in the target; the table is then copied again by itself.'

const REMEDIES: Readonly<Partial<Record<TableStatus['state'], (table: string) => string>>> = {
  broken: (table) => `Remove the cause, then copy it again: mylab-sync initial --table ${table}`,
  suspect: (table) =>
    `A running daemon or worker copies it again in place; at once: mylab-sync initial --table ${table}`,
  refused: () => 'Change the table as it says, or leave it out: tables.exclude in mylab-sync.yaml.',
  gone: () =>
    'The source has dropped it; the rows in the target stay until you remove them. Leave it out then: tables.exclude in mylab-sync.yaml.',
}

/** The engine's format is `table: problem`. */
function ofConstraint(sentence: string): Problem {
  const [, table = null, text = sentence] = /^([^:]+): (.*)$/s.exec(sentence) ?? []
  return {
    table,
    text,
    remedy:
      'Mend the rows of the source that break it, and the constraint is built again by itself. All rows are in the target.',
  }
}

/** Whether all is right, as of when, and what to do. */
export function verdict(report: StatusReport | null, problems: readonly Problem[], fault: Fault | null): Verdict {
  if (fault !== null) return ofFault(report, fault)
  if (report === null) return { tone: 'unknown', sentence: 'Reading the status for the first time.', remedy: null }
  const [first] = problems
  const remedy = first === undefined ? null : remedyOf(first, problems.length)
  if (first !== undefined) return { tone: 'wrong', sentence: report.sentence, remedy }
  const waiting = report.tables.length === 0 || report.tables.some((table) => !isOpen(table.state))
  return { tone: waiting ? 'working' : 'right', sentence: report.sentence, remedy: null }
}

function remedyOf(first: Problem, problems: number): string {
  if (problems > 1) return `${problems} problems, each with its remedy below.`
  return first.remedy ?? 'The problem is described below.'
}

function ofFault(report: StatusReport | null, fault: Fault): Verdict {
  const known = report === null ? '' : ` Last known: ${report.sentence}`
  return { tone: 'unknown', sentence: `The status cannot be read now: ${fault.message}.${known}`, remedy: fault.remedy }
}
