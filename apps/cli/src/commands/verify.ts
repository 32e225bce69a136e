import { counted } from '@mylab-sync/core'
import {
  gatherEvidence,
  repair,
  type SealedReport,
  sealReport,
  type VerifiedTable,
  verify,
  type VerifyReport,
} from '@mylab-sync/engine'
import { keepReport, type ReportPlace, reportPlace } from '../evidence/report-files.js'
import { print, printJson, printTable, tell } from '../output.js'
import { type CommonOptions, type Session, withInstallation } from '../session.js'
import { VERSION } from '../version.js'

type VerifyOptions = CommonOptions & { readonly tables: string[]; readonly watch: boolean }

export async function runVerify(
  options: VerifyOptions & { readonly report: string | undefined; readonly yes: boolean },
): Promise<void> {
  const place = options.report === undefined ? null : await reportPlace(options.report, options.yes)
  await withInstallation(options, async (session) => {
    const verified = await verify(session.context, requestOf(options))
    const report = place && (await writeReport(session, { verified, place, patterns: options.tables }))
    const written = place &&
      report && { file: place.file, page: place.page, number: report.number, digest: report.digest }
    if (options.json) printJson({ ...verified, ...(written && { report: written }) })
    else show(verified)
    if (written) tell(`Report ${written.number}: ${written.file} and ${written.page}, SHA-256 ${written.digest}`)
    return verified.equal ? 0 : 5
  })
}

async function writeReport(
  { context, config }: Session,
  { verified, place, patterns }: { verified: VerifyReport; place: ReportPlace; patterns: readonly string[] },
): Promise<SealedReport> {
  const { source, target, instance } = config
  const evidence = await gatherEvidence(context, verified, {
    product: { name: 'mylab-sync', version: VERSION },
    instance,
    source: { database: source.database },
    target: { database: target.database, schema: target.schema },
    patterns,
    sentence: sentence(verified),
  })
  return await sealReport(context, evidence, (report) => keepReport(place, report))
}

export async function runRepair(options: VerifyOptions): Promise<void> {
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

function requestOf({ tables, watch }: VerifyOptions): Parameters<typeof verify>[1] {
  if (!watch) return { tables }
  let last = { rows: 0, at: performance.now() }
  return {
    tables,
    onProgress: ({ tables: done, of, rows }) => {
      const now = performance.now()
      const speed = Math.round(((rows - last.rows) / Math.max(1, now - last.at)) * 1000)
      last = { rows, at: now }
      tell(`${Math.floor((100 * done) / Math.max(1, of))} %, ${counted(rows, 'row')}, ${speed} rows/s`)
    },
  }
}

const differing = ({ tables }: VerifyReport): number =>
  tables.reduce((sum, table) => sum + table.missing + table.surplus + table.different, 0)

function show(report: VerifyReport): void {
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
    for (const { key, kind, columns } of keys)
      print(`${kind}: ${table} (${key.join(', ')})${columns.length > 0 ? `: ${columns.join(', ')}` : ''}`)
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
