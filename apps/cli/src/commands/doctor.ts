import type { ResolvedConfig } from '@mylab-sync/config'
import { ERRORS, type Finding, type FindingCode, lineFindings, SyncError } from '@mylab-sync/core'
import { type Diagnosis, doctor } from '@mylab-sync/engine'
import { print, printHeading, printJson } from '../output.js'
import { loadQueue, queueSettings, resumeCommand } from '../queue.js'
import { type CommonOptions, engineOptions, openSource, openTarget, orItsError, withConfig } from '../session.js'

const PROBLEMS = 5

export async function runDoctor(options: CommonOptions): Promise<void> {
  await withConfig(options, async ({ config }) => {
    const diagnosis = await diagnose(config)
    if (options.json) printJson({ ...diagnosis })
    else show(diagnosis)
    if (diagnosis.findings.some(({ code }) => code === 'cannot-connect')) return ERRORS['cannot-connect'].exit
    return diagnosis.ready ? 0 : PROBLEMS
  })
}

/** An unreachable side becomes a finding; the other side is still checked. */
async function diagnose(config: ResolvedConfig): Promise<Diagnosis> {
  const source = await orItsError(openSource(config))
  const target = await orItsError(openTarget(config))
  try {
    const redis = config.redisUrl === null ? {} : { redis: () => redisFindings(config) }
    return await doctor({ source, target, options: engineOptions(config), ...redis })
  } finally {
    if (!(target instanceof SyncError)) await target.close()
    if (!(source instanceof SyncError)) await source.close()
  }
}

async function redisFindings(config: ResolvedConfig): Promise<Finding[]> {
  const { checkRedis, Producer, redisLine } = await loadQueue()
  const settings = queueSettings(config)
  const warnings = await checkRedis(settings)
  const found = warnings.map((cause) => redisFinding('redis-eviction', cause, 'CONFIG SET maxmemory-policy noeviction'))
  const producer = await Producer.open(settings)
  const { held } = await producer.health().finally(() => producer.close())
  const kept = held.map(({ queue, how }) =>
    redisFinding('redis-queue-held', `queue ${queue} is ${how}`, resumeCommand(queue)),
  )
  const { host, encrypted } = redisLine(settings)
  const remedy = 'give Redis a certificate (tls-port, tls-cert-file, tls-key-file), and REDIS_URL rediss://'
  return [...found, ...kept, ...lineFindings({ side: 'redis', host, encrypted, verified: encrypted, remedy })]
}

function redisFinding(code: FindingCode, cause: string, remedy: string): Finding {
  return { code, severity: 'warning', side: 'redis', cause, remedy }
}

const TITLES: Readonly<Record<Finding['severity'], string>> = {
  error: 'Errors: fix these before copying',
  warning: 'Warnings: it works, with the limitation named in each',
  note: 'Notes',
}

function show({ sentence, findings }: Diagnosis): void {
  print(sentence)
  let severity: Finding['severity'] | null = null
  for (const finding of findings) {
    if (finding.severity !== severity) printHeading(`${TITLES[finding.severity]}`)
    severity = finding.severity
    print(`  ${finding.side}: ${finding.cause}`)
    print(`    remedy: ${finding.remedy}`)
  }
}
