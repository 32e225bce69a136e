import { createHash } from 'node:crypto'
import type { ReportRecord } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { readTarget, writeTarget } from '../transactions.js'
import { isEvidence, type Evidence } from './evidence.js'

/** A report with its place in the chain. */
export interface SealedReport extends Evidence {
  /** 1, 2, .. for each report of the installation. */
  readonly number: number
  /** The report before; null: this is the first. */
  readonly previous: { readonly number: number; readonly digest: string } | null
  /** SHA-256 of the canonical JSON of all else. */
  readonly digest: string
}

/** One JSON text for one value: keys sorted by code unit, no white space (RFC 8785 for the integers and texts of reports). */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(',')}}`
}

export function digestOf(report: Omit<SealedReport, 'digest'>): string {
  const { digest: _, ...rest } = { digest: '', ...report }
  return createHash('sha256').update(canonicalJson(rest)).digest('hex')
}

/** The text of a report's file. */
export function reportText(report: SealedReport): string {
  return `${JSON.stringify(report, null, 2)}\n`
}

/**
 * Gives the evidence its place in the chain. `keep` has to store the report for good before it is recorded: a crash between
 * the two leaves a report without a record, never a record of a report that is lost.
 */
export async function sealReport(
  context: EngineContext,
  evidence: Evidence,
  keep: (report: SealedReport) => Promise<void>,
): Promise<SealedReport> {
  return await writeTarget(context, async ({ reports }) => {
    const last = await reports.lockLast()
    const previous = last && { number: last.number, digest: last.digest }
    const body = { ...evidence, number: (last?.number ?? 0) + 1, previous }
    const report = { ...body, digest: digestOf(body) }
    await keep(report)
    await reports.add(report)
    return report
  })
}

export async function recordedReports(context: Pick<EngineContext, 'target'>): Promise<ReportRecord[]> {
  return await readTarget(context, ({ reports }) => reports.all())
}

export interface ReportFile {
  readonly file: string
  readonly text: string
}

export interface CheckedReport {
  readonly file: string
  /** null: the file holds no report. */
  readonly report: SealedReport | null
  /** What is wrong with it; empty: it is as it was written. */
  readonly faults: readonly string[]
}

export interface ChainCheck {
  /** By number. */
  readonly reports: readonly CheckedReport[]
  /** What is missing, or is wrong with the record itself. */
  readonly faults: readonly string[]
}

/**
 * Checks files of reports against each other and, where it could be read, against the record in the target. The files
 * alone show less: whoever writes all of them anew writes a chain that fits.
 */
export function checkChain(files: readonly ReportFile[], record: readonly ReportRecord[] | null): ChainCheck {
  const read = files.map(readReport)
  const numbered = read.flatMap(({ report }) => (report === null ? [] : [report]))
  const recorded = new Map(record?.map(({ number, digest }) => [number, digest]))
  const known = record === null ? new Map(numbered.map(({ number, digest }) => [number, digest])) : recorded
  const reports = read
    .map(({ file, report, faults }): CheckedReport => {
      if (report === null) return { file, report, faults }
      const all = [...faults, ...placeFaults(report, known)]
      if (record !== null && recorded.get(report.number) !== digestOf(report))
        all.push(
          recorded.has(report.number)
            ? 'another report is recorded under its number'
            : 'it is not recorded in the target',
        )
      if (numbered.filter(({ number }) => number === report.number).length > 1)
        all.push('more than one file has its number')
      return { file, report, faults: all }
    })
    .sort((a, b) => (a.report?.number ?? 0) - (b.report?.number ?? 0))
  return { reports, faults: missing(numbered, record) }
}

function readReport({ file, text }: ReportFile): CheckedReport {
  let report: unknown
  try {
    report = JSON.parse(text)
  } catch {
    return { file, report: null, faults: ['it is not JSON'] }
  }
  if (!isSealed(report)) return { file, report: null, faults: ['it is not a report of mylab-sync'] }
  const faults = []
  if (digestOf(report) !== report.digest) faults.push('altered: its contents do not have the digest that it names')
  // A key given twice shows one value to a reader and another to the digest.
  else if (reportText(report) !== text) faults.push('altered: its text is not as it was written')
  return { file, report, faults }
}

function isSealed(value: unknown): value is SealedReport {
  if (!isEvidence(value)) return false
  const { number, digest, previous } = value as Partial<SealedReport>
  const isLinked = previous === null || (typeof previous === 'object' && typeof previous.digest === 'string')
  return Number.isSafeInteger(number) && typeof digest === 'string' && isLinked
}

function placeFaults({ number, previous }: SealedReport, known: ReadonlyMap<number, string>): string[] {
  if (number === 1) return previous === null ? [] : ['it is the first, and names one before it']
  if (previous === null || previous.number !== number - 1) return [`it does not name report ${number - 1}`]
  const before = known.get(number - 1)
  return before === undefined || before === previous.digest
    ? []
    : [`it names another report ${number - 1} than the one that is there`]
}

function missing(found: readonly SealedReport[], record: readonly ReportRecord[] | null): string[] {
  const numbers = new Set(found.map(({ number }) => number))
  const last = Math.max(0, ...numbers, ...(record ?? []).map(({ number }) => number))
  const recorded = new Map(record?.map((each) => [each.number, each]))
  const faults: string[] = []
  for (let number = 1; number <= last; number++) {
    const writtenAt = recorded.get(number)?.writtenAt
    if (record !== null && writtenAt === undefined)
      faults.push(`report ${number} is missing in the record of the target`)
    if (!numbers.has(number))
      faults.push(
        `report ${number}${writtenAt === undefined ? '' : `, written at ${writtenAt},`} is not among the files`,
      )
  }
  return faults
}
