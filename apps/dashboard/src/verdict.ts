import { isOpen } from '@mylab-sync/core'
import type { StatusReport } from '@mylab-sync/engine'
import type { Problem, Verdict } from './page/shape.js'

/** Why the last read of the status failed. Never a driver's text, which may quote data. */
export interface Fault {
  readonly code: string
  readonly message: string
  readonly remedy: string | null
}

/** What the queues lack comes first: it explains why changes wait. */
export function problemsOf(report: StatusReport, health: readonly string[]): Problem[] {
  return [...health.map((text) => ({ table: null, code: 'queue', text, remedy: null })), ...report.problems]
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
