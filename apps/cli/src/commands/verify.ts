import { counted, SyncError } from '@mylab-sync/core'
import { repair, type VerifiedTable, verify, type VerifyReport, verifySince } from '@mylab-sync/engine'
import { reportPlace } from '../evidence/report-files.js'
import { tellWritten, writeReport } from '../evidence/write-report.js'
import { shareOf, timeOf } from '../verify-part.js'
import { print, printJson, printTable, tell } from '../output.js'
import { type CommonOptions, type Session, withInstallation } from '../session.js'
import { differingLine } from './verification-lines.js'

type RepairOptions = CommonOptions & { readonly tables: string[]; readonly watch: boolean }
type VerifyOptions = RepairOptions & {
  readonly sample: string | undefined
  readonly since: string | undefined
  readonly showValues: boolean
}

export async function runVerify(
  options: VerifyOptions & { readonly report: string | undefined; readonly yes: boolean },
): Promise<void> {
  const verified = verification(options)
  const place = options.report === undefined ? null : await reportPlace(options.report, options.yes)
  await withInstallation(options, async (session) => {
    const found = await verified(session.context)
    const about = { verified: found, patterns: options.tables, sentence: sentence(found) }
    const written = place && (await writeReport(session, { ...about, place }))
    if (options.json) printJson({ ...found, ...(written && { report: written }) })
    else show(found)
    if (written) tellWritten(written)
    return found.equal ? 0 : 5
  })
}

/** What the options ask for. Throws SyncError usage. */
function verification(
  options: VerifyOptions & { readonly report: string | undefined },
): (context: Session['context']) => Promise<VerifyReport> {
  const sample = options.sample === undefined ? undefined : shareOf(options.sample)
  const since = options.since === undefined ? undefined : timeOf(options.since, Date.now())
  if (sample !== undefined && since !== undefined)
    throw new SyncError('usage', '--sample and --since: found both, expected one of them')
  if (options.report !== undefined && (sample !== undefined || since !== undefined || options.showValues))
    throw new SyncError(
      'usage',
      '--report covers all rows and holds no value: not with --sample, --since or --show-values',
    )
  const request = { ...requestOf(options), values: options.showValues }
  if (since !== undefined) return (context) => verifySince(context, { ...request, since })
  return (context) => verify(context, { ...request, sample: sample === 1 ? undefined : sample })
}

export async function runRepair(options: RepairOptions): Promise<void> {
  await withInstallation(options, async ({ context }) => {
    const { found, left } = await repair(context, requestOf(options))
    if (options.json) printJson({ ...left })
    else {
      print(`${counted(differing(found), 'differing row')} found, ${differing(left)} left after the repair.`)
      show(left)
    }
    return left.equal ? 0 : 5
  })
}

function requestOf({ tables, watch }: RepairOptions): Parameters<typeof verify>[1] {
  if (!watch) return { tables }
  let last = { rows: 0, at: performance.now() }
  return {
    tables,
    onProgress: ({ done, rows }) => {
      const now = performance.now()
      const speed = Math.round(((rows - last.rows) / Math.max(1, now - last.at)) * 1000)
      last = { rows, at: now }
      tell(`${Math.floor(100 * done)} %, ${counted(rows, 'row')}, ${speed} rows/s`)
    },
  }
}

const differing = ({ tables }: VerifyReport): number =>
  tables.reduce((sum, table) => sum + table.missing + table.surplus + table.different, 0)

const valueText = (value: string | null): string => (value === null ? 'NULL' : JSON.stringify(value))

function show(report: VerifyReport): void {
  for (const line of scope(report)) print(line)
  print(sentence(report))
  for (const { table, notCompared } of report.tables)
    if (notCompared !== null) print(`not compared: ${table}: ${notCompared}`)
  printTable(
    ['table', 'rows', 'missing', 'surplus', 'different', ''],
    report.tables
      .filter(({ notCompared }) => notCompared === null)
      .map((table) => [table.table, table.rows, table.missing, table.surplus, table.different, noteOf(table)]),
  )
  for (const { table, keys } of report.tables)
    for (const { key, kind, columns, values = [] } of keys) {
      print(differingLine({ table, key, kind, columns }))
      for (const { column, source, target } of values)
        print(`  ${column}: source ${valueText(source)}, target ${valueText(target)}`)
    }
}

/** What was not looked at, in plain words. */
function scope({ sample, since }: VerifyReport): string[] {
  if (sample !== null)
    return [
      `A sample of about ${100 * sample} % of each table: pages of 1,000 rows, spread over the keys at random. Rows between the pages were not compared, and tables without a key were compared whole.`,
    ]
  if (since === null) return []
  const late = since.from > since.asked ? ` Keys of earlier drains, since ${since.asked}, are no longer kept.` : ''
  return [
    `Only rows that drains have carried since ${since.from}.${late} A row that was altered in the target alone is found only if the source changed it too.`,
  ]
}

function noteOf({ equal, quarantined }: VerifiedTable): string {
  return [...(equal ? [] : ['DIFFERENT']), ...(quarantined === 0 ? [] : [`${quarantined} quarantined`])].join(', ')
}

function sentence(report: VerifyReport): string {
  const compared = report.tables.filter(({ notCompared }) => notCompared === null)
  if (compared.length === 0) return 'No table was compared: none is live yet.'
  const rows = compared.reduce((sum, table) => sum + table.rows, 0)
  const different = compared.filter(({ equal }) => !equal).length
  if (different > 0)
    return `${counted(differing(report), 'row')} in ${counted(different, 'table')} of ${compared.length} differ: mylab-sync repair`
  return `The contents of ${counted(compared.length, 'table')} with ${counted(rows, 'row')} are equal, as of ${report.consistentAsOf}.`
}
