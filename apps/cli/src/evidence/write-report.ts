import { gatherEvidence, type HandOverEvidence, sealReport, type VerifyReport } from '@mylab-sync/engine'
import { tell } from '../output.js'
import type { Session } from '../session.js'
import { VERSION } from '../version.js'
import { keepReport, type ReportPlace } from './report-files.js'

/** A report as `--json` names it. */
export interface WrittenReport {
  readonly file: string
  readonly page: string
  readonly number: number
  readonly digest: string
}

interface ReportRequest {
  readonly verified: VerifyReport
  readonly place: ReportPlace
  readonly patterns: readonly string[]
  readonly sentence: string
  readonly handOver?: HandOverEvidence
}

/** Writes the next report of the chain. */
export async function writeReport(
  { context, config }: Session,
  { verified, place, ...about }: ReportRequest,
): Promise<WrittenReport> {
  const { source, target, instance } = config
  const evidence = await gatherEvidence(context, verified, {
    product: { name: 'mylab-sync', version: VERSION },
    instance,
    source: { database: source.database },
    target: { database: target.database, schema: target.schema },
    ...about,
  })
  const { number, digest } = await sealReport(context, evidence, (report) => keepReport(place, report))
  return { file: place.file, page: place.page, number, digest }
}

export function tellWritten({ number, file, page, digest }: WrittenReport): void {
  tell(`Report ${number}: ${file} and ${page}, SHA-256 ${digest}`)
}
