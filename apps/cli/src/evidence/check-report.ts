import { counted } from '@mylab-sync/core'
import { type ChainCheck, checkChain, recordedReports } from '@mylab-sync/engine'
import { reportPage } from './report-page.js'
import { readPage, readReports } from './report-files.js'
import { print, printJson } from '../output.js'
import { exitCodeOf, explain } from '../failure.js'
import { type CommonOptions, openTarget, withConfig } from '../session.js'
import { VERSION } from '../version.js'

/** Checks a chain of reports. Needs no source, and shows what the files alone say if the target cannot be reached. */
export async function runCheckReport(options: CommonOptions & { readonly files: readonly string[] }): Promise<void> {
  await withConfig(options, async ({ config }) => {
    const files = await readReports(options.files)
    const record = await recordOf(config).catch((error: unknown) => ({ error }))
    const isRead = Array.isArray(record)
    const check = await withPages(checkChain(files, isRead ? record : null))
    const faults = [...check.reports, check].reduce((sum, each) => sum + each.faults.length, 0)
    if (options.json) printJson(asJson(check, { ok: faults === 0 && isRead, compared: isRead }))
    else show(check, { faults, isRead })
    if (!isRead) explain(record.error)
    return faults > 0 ? 5 : isRead ? 0 : exitCodeOf(record.error)
  })
}

async function recordOf(
  config: Parameters<typeof openTarget>[0],
): Promise<Awaited<ReturnType<typeof recordedReports>>> {
  const target = await openTarget(config)
  return await recordedReports({ target }).finally(() => target.close())
}

/** Another version may show a report in another way. */
async function withPages(check: ChainCheck): Promise<ChainCheck> {
  const reports = await Promise.all(
    check.reports.map(async (each) => {
      if (each.report?.product.version !== VERSION || each.faults.length > 0) return each
      const page = await readPage(each.file)
      const isAltered = page !== null && page !== reportPage(each.report)
      return isAltered ? { ...each, faults: ['altered: the page beside it shows something else'] } : each
    }),
  )
  return { ...check, reports }
}

function asJson({ reports, faults }: ChainCheck, more: { ok: boolean; compared: boolean }): Record<string, unknown> {
  return {
    ...more,
    reports: reports.map(({ file, report, faults: found }) => ({
      file,
      number: report?.number ?? null,
      digest: report?.digest ?? null,
      createdAt: report?.createdAt ?? null,
      equal: report?.equal ?? null,
      faults: found,
    })),
    faults,
  }
}

function show({ reports, faults: missing }: ChainCheck, { faults, isRead }: { faults: number; isRead: boolean }): void {
  for (const { file, report, faults: found } of reports) {
    const what = report === null ? file : `report ${report.number}, ${report.createdAt}: ${file}`
    print(`${what}: ${found.length === 0 ? `unaltered, SHA-256 ${report?.digest}` : found.join('; ')}`)
  }
  for (const fault of missing) print(fault)
  const by = isRead ? 'and as recorded in the target' : 'by the files alone'
  if (faults > 0) print(`The chain does not hold: ${counted(faults, 'fault')}.`)
  else print(`The chain of ${counted(reports.length, 'report')} holds: none is altered or missing, ${by}.`)
}
