import { isOpen } from '@mylab-sync/core'
import { loadModel, status, type StatusReport, type TableStatus } from '@mylab-sync/engine'
import { type JobOf, Producer, type QueueName } from '@mylab-sync/queue'
import type { ENQUEUED } from '../definition.js'
import { print, printJson, tell } from '../output.js'
import { queueSettings, requireRedis, unserved } from '../queue.js'
import { type CommonOptions, type Session, withInstallation } from '../session.js'

const NOTHING: Readonly<Record<(typeof ENQUEUED)[number], string>> = {
  copy: 'No copy is running: mylab-sync initial --detach requests one.',
  retry: 'No row is quarantined.',
  drain: 'Nothing to add.',
  cleanup: 'Nothing to add.',
  verify: 'No table is live.',
}

const QUEUES: Readonly<Record<(typeof ENQUEUED)[number], QueueName>> = {
  copy: 'copy',
  retry: 'control',
  drain: 'drain',
  cleanup: 'control',
  verify: 'control',
}

export async function runEnqueue(
  options: CommonOptions & { readonly what: (typeof ENQUEUED)[number]; readonly tables: readonly string[] },
): Promise<void> {
  await withInstallation({ ...options, check: requireRedis }, async (session) => {
    const producer = await Producer.open(queueSettings(session.config))
    try {
      const ids = await put(session, producer, options)
      // A missing worker is not a failure: the job waits for one.
      const problems = ids.length === 0 ? [] : unserved(await producer.health(), [QUEUES[options.what]])
      for (const problem of problems) tell(`mylab-sync: the job waits: ${problem}`)
      if (options.json) printJson({ queue: options.what, ids, problems })
      else if (ids.length === 0) print(NOTHING[options.what])
      else for (const id of ids) print(id)
      return 0
    } finally {
      await producer.close()
    }
  })
}

/** Never starts a copy, only `initial` does: enqueues the next chunks of running copies. */
async function put(
  { context }: Session,
  producer: Producer,
  { what, tables }: { readonly what: (typeof ENQUEUED)[number]; readonly tables: readonly string[] },
): Promise<string[]> {
  if (what === 'drain') return producer.add('drain', [{ kind: 'drain' }])
  if (what === 'cleanup') return producer.add('control', [{ kind: 'clean-up' }])
  const selected = new Set((await loadModel(context)).select(tables))
  const report = await status(context)
  const known = report.tables.filter(({ table }) => selected.has(table))
  if (what === 'verify') return producer.add('control', verifyJobs(report, known, tables.length > 0))
  if (what === 'retry') {
    const failed = known.filter(({ quarantined }) => quarantined > 0)
    return producer.add(
      'control',
      failed.map(({ table }) => ({ kind: 'retry', table })),
    )
  }
  return producer.add(
    'copy',
    known.filter(({ state }) => state === 'copying').map(({ table }) => ({ kind: 'plan-table', table })),
  )
}

/** One job that compares all tables, or one for each that was named. What was compared before now does not count. */
function verifyJobs(
  { consistentAsOf: since }: StatusReport,
  known: readonly TableStatus[],
  isNamed: boolean,
): JobOf<'control'>[] {
  const open = known.filter(({ state }) => isOpen(state))
  if (since === null || open.length === 0) return []
  if (!isNamed) return [{ kind: 'verify-chunk', since }]
  return open.map(({ table }) => ({ kind: 'verify-chunk', since, table }))
}
