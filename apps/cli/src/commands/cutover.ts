import { counted, SyncError } from '@mylab-sync/core'
import {
  abortCutover,
  type AbortReport,
  type CutoverFinding,
  type CutoverReport,
  cutOver,
  HANDED_OVER,
  type HandOverRecord,
  listObstacles,
} from '@mylab-sync/engine'
import { type ReportPlace, reportPlace } from '../evidence/report-files.js'
import { tellWritten, type WrittenReport, writeReport } from '../evidence/write-report.js'
import { print, printJson, printText, tell } from '../output.js'
import { type CommonOptions, type Session, withInstallation } from '../session.js'

type CutoverOptions = CommonOptions & {
  readonly yes: boolean
  readonly dryRun: boolean
  readonly setReadOnly: boolean
  readonly actions: boolean
  readonly abort: boolean
  readonly wait: number
  readonly report: string | undefined
}

const PROBLEMS = 5

export async function runCutover(options: CutoverOptions): Promise<void> {
  if (options.report !== undefined && (options.abort || options.dryRun))
    throw new SyncError('usage', '--report tells of a cutover: not with --dry-run or --abort')
  const place = options.report === undefined ? null : await reportPlace(options.report, options.yes)
  await withInstallation(options, (session) => {
    if (options.abort) return abort(session, options)
    return options.dryRun ? dryRun(session, options) : handOver(session, options, place)
  })
}

async function dryRun({ context }: Session, { json }: CutoverOptions): Promise<number> {
  const findings = await listObstacles(context)
  const blocking = findings.filter(({ severity }) => severity === 'blocks').length
  const ready = blocking === 0
  if (json) printJson({ ready, findings })
  else {
    print(ready ? 'Nothing stands in the way of a cutover.' : `${counted(blocking, 'finding')} block a cutover.`)
    showFindings(findings)
  }
  return ready ? 0 : PROBLEMS
}

async function handOver(session: Session, options: CutoverOptions, place: ReportPlace | null): Promise<number> {
  const { context, signal } = session
  const report = await cutOver(
    { ...context, signal },
    {
      setReadOnly: options.setReadOnly,
      withActions: options.actions,
      waitMs: options.wait * 1000,
      withEvidence: place !== null,
      onStep: (step) => tellStep(step, options),
    },
  )
  const { record, ...result } = report
  const written = place && record && (await keepRecord(session, { place, record }))
  if (options.json) printJson({ ...result, ...(written && { report: written }) })
  else showReport(report)
  if (written) tellWritten(written)
  if (place !== null && report.done && record === null) throw madeBefore()
  return report.done ? 0 : PROBLEMS
}

function keepRecord(
  session: Session,
  { place, record }: { readonly place: ReportPlace; readonly record: HandOverRecord },
): Promise<WrittenReport> {
  const { verified, ...handOver } = record
  const rows = verified.tables.reduce((sum, table) => sum + table.rows, 0)
  const sentence = `The application was handed over to PostgreSQL at ${handOver.switchedAt}: ${counted(verified.tables.length, 'table')} with ${counted(rows, 'row')} were equal, and what had changed since was compared again.`
  return writeReport(session, { verified, handOver, place, patterns: [], sentence })
}

function madeBefore(): SyncError {
  return new SyncError('usage', '--report: the cutover was made before, and only the run that makes it can report it', {
    remedy: 'mylab-sync cutover without --report',
  })
}

/** Whoever waits for this line waits with the writes stopped: it is never left out. */
function tellStep(step: string, { quiet }: CutoverOptions): void {
  if (!quiet || step === HANDED_OVER) tell(`${step.charAt(0).toUpperCase()}${step.slice(1)}.`)
}

function showReport({ done, findings, stoppedMs, tailKeys }: CutoverReport): void {
  if (!done) {
    print('Nothing was cut over, and the source is followed as before.')
    showFindings(findings)
    return
  }
  if (stoppedMs === null) print('The cutover was made before; all that was left of it is done.')
  else
    print(
      `Writes were stopped for ${(stoppedMs / 1000).toFixed(1)} s; ${counted(tailKeys, 'row')} that had changed last were compared again.`,
    )
  print('The application writes PostgreSQL from now on. mylab-sync cutover --abort goes back to following the source.')
}

function showFindings(findings: readonly CutoverFinding[]): void {
  for (const { severity, table, cause, on, when, sql } of findings) {
    print(`${severity === 'blocks' ? 'blocks' : 'note'}: ${table === null ? '' : `${table}: `}${cause}`)
    if (sql.length === 0) continue
    print(`  ${on === 'shell' ? 'run' : `run at the ${on}`}, ${when} the cutover:`)
    for (const line of sql) printText(`    ${line}`)
  }
}

async function abort({ context, signal }: Session, options: CutoverOptions): Promise<number> {
  const report = await abortCutover(
    { ...context, signal },
    { discardWrites: options.yes, onStep: (step) => tellStep(step, options) },
  )
  if (options.json) printJson({ ...report })
  else showAbort(report)
  return report.kind === 'refused' || (report.kind === 'taken-back' && !report.left.equal) ? PROBLEMS : 0
}

function showAbort(report: AbortReport): void {
  switch (report.kind) {
    case 'nothing':
      return print('No cutover was begun: the source is followed.')
    case 'given-up':
      return print('The cutover is given up: the source is followed, and may be written.')
    case 'refused':
      print('Nothing was changed: PostgreSQL was written since the cutover.')
      return showFindings(report.findings)
    case 'taken-back': {
      const rows = report.found.tables.reduce((sum, each) => sum + each.missing + each.surplus + each.different, 0)
      print(
        `The source is followed again. ${counted(rows, 'row')} differed and ${rows === 1 ? 'was' : 'were'} read again.`,
      )
      if (!report.left.equal)
        print('Some tables still differ, or could not be compared: mylab-sync cutover --abort again.')
    }
  }
}
