import type { ResolvedConfig } from '@mylab-sync/config'
import { ERRORS, SyncError } from '@mylab-sync/core'
import type { QueueHealth, QueueName, QueueSettings } from '@mylab-sync/queue'
import type { Log } from '@mylab-sync/runtime'
import { print, printJson, tell } from './output.js'
import { line } from './commands/database.js'
import { describe, tellWhole } from './failure.js'

/** Throws SyncError configuration if no Redis is configured. */
export function queueSettings(config: ResolvedConfig): QueueSettings {
  if (config.redisUrl === null) {
    throw new SyncError('configuration', 'no Redis address is configured, and this command requires Redis', {
      remedy: 'set REDIS_URL or REDIS_HOST; without Redis: mylab-sync database --daemon',
    })
  }
  return { redisUrl: config.redisUrl, redisTls: config.redisTls, prefix: config.queuePrefix }
}

/** Loaded on first use: a process that runs without Redis starts 0.4 s sooner and is 20 MB smaller. */
export const loadQueue = () => import('@mylab-sync/queue')

/** For `check` of a session: fails before anything else is tried. */
export async function requireRedis(config: ResolvedConfig): Promise<void> {
  const { checkRedis } = await loadQueue()
  for (const warning of await checkRedis(queueSettings(config))) tell(`mylab-sync: ${warning}`)
}

/** Returns the error if Redis cannot be reached. */
export async function queueHealth(config: ResolvedConfig): Promise<QueueHealth | SyncError> {
  try {
    const settings = queueSettings(config)
    const { checkRedis, Producer } = await loadQueue()
    await checkRedis(settings)
    const producer = await Producer.open(settings)
    return await producer.health().finally(() => producer.close())
  } catch (error) {
    if (error instanceof SyncError && error.code !== 'configuration') return error
    throw error
  }
}

/** Sentences about missing processes and about settings that hold back jobs. */
export function healthProblems(health: QueueHealth | SyncError): string[] {
  if (health instanceof SyncError)
    return [`nothing is drained: ${health.message}${health.remedy === null ? '' : `: ${health.remedy}`}`]
  const problems = [...health.held.map(heldProblem), ...unserved(health, ['drain', 'copy', 'control'])]
  if (!health.scheduler) problems.push('no scheduler is alive: start mylab-sync scheduler')
  return problems
}

export function heldProblem({ queue: name, how }: QueueHealth['held'][number]): string {
  return `queue ${name} is ${how}: ${resumeCommand(name)}`
}

export function resumeCommand(name: QueueName): string {
  return `mylab-sync resume --queues ${name}`
}

/** Parses a comma-separated list of queue names. Throws SyncError usage. */
export function queueNames(list: string): QueueName[] {
  const known = ['copy', 'drain', 'control'] as const
  return list.split(',').map((text) => {
    const name = known.find((one) => one === text.trim())
    if (name === undefined)
      throw new SyncError('usage', `--queues: found ${text}, expected some of ${known.join(', ')}`)
    return name
  })
}

/** Removes every pause and limit from these queues. */
export async function resumeQueues(config: ResolvedConfig, names: readonly QueueName[]): Promise<void> {
  const { Producer } = await loadQueue()
  const producer = await Producer.open(queueSettings(config))
  await producer.resume(names).finally(() => producer.close())
}

/** Names, in sentences, the queues that no worker serves. */
export function unserved(health: QueueHealth, names: readonly QueueName[]): string[] {
  const idle = names.filter((name) => health.workers[name] === 0)
  if (idle.length === 0) return []
  if (Object.values(health.workers).every((workers) => workers === 0))
    return ['no worker is alive: start mylab-sync worker']
  return [`no worker serves ${idle.join(' and ')}: start mylab-sync worker --queues ${idle.join(',')}`]
}

const SAME_PROBLEM_MS = 10_000

/** Logs each problem and whether it will be retried; repeats the same one at most every ten seconds. */
export function problemTeller(log: Log): (where: string, error: unknown) => void {
  const loggedAt = new Map<string, number>()
  return (where, error) => {
    const text = `${where}: ${describe(error)}`
    const now = performance.now()
    if (now - (loggedAt.get(text) ?? Number.NEGATIVE_INFINITY) < SAME_PROBLEM_MS) return
    loggedAt.set(text, now)
    const isFinal = error instanceof SyncError && ERRORS[error.code].scope === 'job'
    log.warn({ where }, `${isFinal ? 'not tried again' : 'will be tried again'}: ${describe(error)}`)
    if (!(error instanceof SyncError)) tellWhole(error)
  }
}

/** Sums up drains and prints the daemon's line at most once per interval. */
export class DrainLines {
  readonly #options: { readonly json: boolean; readonly intervalMs: number }
  #iteration = 0
  #printed = performance.now()
  #sum = { processed: 0, failed: 0, ms: 0 }

  constructor(options: { readonly json: boolean; readonly intervalMs: number }) {
    this.#options = options
  }

  add({ entries, failed, ms }: { readonly entries: number; readonly failed: number; readonly ms: number }): void {
    const sum = this.#sum
    this.#sum = { processed: sum.processed + entries, failed: sum.failed + failed, ms: sum.ms + ms }
    if (performance.now() - this.#printed > this.#options.intervalMs) this.flush()
  }

  flush(): void {
    this.#printed = performance.now()
    const { processed, failed, ms } = this.#sum
    if (processed === 0) return
    this.#sum = { processed: 0, failed: 0, ms: 0 }
    const interval = { iteration: ++this.#iteration, processed, success: processed - failed, failed, pending: 0, ms }
    if (this.#options.json) printJson({ ...interval })
    else print(line(interval))
  }
}
