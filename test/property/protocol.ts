import type { SourceSnapshot, TargetTransaction } from '@mylab-sync/core'
import {
  ALL_RULES,
  drain,
  type EngineContext,
  type EngineHooks,
  initial,
  loadModel,
  migrate,
  type ProtocolRules,
  setupTriggers,
} from '@mylab-sync/engine'
import { defaultMappingOptions } from '@mylab-sync/mapping'
import { isTransaction } from '@mylab-sync/target-postgres'
import { eventually, random, type ServerSet } from '@mylab-sync/testkit'
import { connect } from '../support/connect.js'
import { COLUMNS, SCHEMA, TABLES } from './schema.js'
import { Writers } from './writers.js'

export interface Experiment {
  readonly seed: number
  readonly liveMs: number
  /** Rules switched off for this run. */
  readonly broken?: Partial<ProtocolRules>
  /** Catch-up slices of so many keys, where the opening drain takes fewer. */
  readonly catchUpKeys?: number
  /** Backlogs: no drain for so long at a time. */
  readonly backlogMs?: number
}

export interface Verdict {
  drains: number
  wrong: number
  /** Drains whose snapshot was older than the one before. */
  backwards: number
  statements: number
  readonly examples: string[]
}

const WRITERS = 6
const STATEMENTS_BEFORE_COPY = 500

/**
 * Runs the protocol under random writers and compares, before every target commit, the whole live set with the drain's
 * own source snapshot. The comparison reads both sides by its own SQL and shares no code with the engine.
 */
export async function runExperiment(servers: ServerSet, experiment: Experiment): Promise<Verdict> {
  const name = `property_${experiment.seed}`
  await servers.createDatabases({ source: name, target: name })
  const admin = await servers.sourceAdmin(name)
  await admin.query(SCHEMA)
  const { source, target } = await connect(servers, name)
  const connections = await Promise.all(Array.from({ length: WRITERS }, () => servers.sourceAdmin(name)))
  const verdict: Verdict = { drains: 0, wrong: 0, backwards: 0, statements: 0, examples: [] }
  try {
    const context: EngineContext = {
      source,
      target,
      rules: { ...ALL_RULES, ...experiment.broken },
      hooks: hooksOf(verdict, experiment),
      ...(experiment.catchUpKeys ? { openingLimits: { lastSliceKeys: 5, catchUpKeys: experiment.catchUpKeys } } : {}),
      options: { include: ['*'], exclude: [], mapping: defaultMappingOptions, batchRows: 7, copyConcurrency: 2 },
    }
    await migrate(context)
    const writers = new Writers(connections, experiment.seed, 3)
    try {
      await eventually('the tables hold something to copy', () => writers.statements >= STATEMENTS_BEFORE_COPY, 30_000)
      await copyAndFollow(context, experiment)
    } finally {
      await writers.stop()
    }
    verdict.statements = writers.statements
    await drain(context, await loadModel(context), { waitMs: 30_000 })
  } finally {
    await Promise.all([...connections, admin].map((connection) => connection.end()))
    await source.close()
    await target.close()
  }
  return verdict
}

function hooksOf(verdict: Verdict, { seed }: Experiment): EngineHooks {
  const r = random(seed * 77)
  let latest = ''
  const nap = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
  return {
    // half of the chunks are read late: a short copy never shows what the orphan scan is for
    beforeChunk: () => nap(r.chance(0.5) ? r.int(200, 900) : 0),
    betweenLockAndSnapshot: () => nap(r.chance(0.5) ? r.int(0, 60) : 0),
    beforeUnpark: () => nap(r.chance(0.5) ? r.int(100, 700) : 0),
    beforeSlice: () => nap(r.int(0, 30)),
    beforeCommit: async ({ snapshot, target, live }) => {
      verdict.drains++
      if (snapshot.takenAt < latest) verdict.backwards++
      latest = snapshot.takenAt
      const difference = await firstDifference(snapshot, target, live)
      if (difference === null) return
      verdict.wrong++
      if (verdict.examples.length < 5) verdict.examples.push(difference)
    },
  }
}

async function copyAndFollow(context: EngineContext, experiment: Experiment): Promise<void> {
  const model = await loadModel(context)
  await setupTriggers(context, { tables: [], recreate: false, dryRun: false })
  const ended = new AbortController()
  await initial(
    context,
    { tables: [], createTables: true, resume: false, triggers: true, force: false, takeOver: false },
    () => {},
    ended.signal,
  )
  const end = performance.now() + experiment.liveMs
  const drainUntil = async (): Promise<void> => {
    while (performance.now() < end) {
      await drain(context, model)
      if (experiment.backlogMs) await new Promise((resolve) => setTimeout(resolve, experiment.backlogMs))
    }
  }
  // two drainers compete for the lock
  await Promise.all([drainUntil(), drainUntil()])
}

interface Readable {
  texts(query: string): Promise<(string | null)[][]>
}

async function firstDifference(
  snapshot: SourceSnapshot,
  target: TargetTransaction,
  live: ReadonlySet<string>,
): Promise<string | null> {
  if (!isTransaction(target)) throw new Error('the comparison reads a real transaction')
  const source = snapshot as SourceSnapshot & Readable
  for (const table of TABLES) {
    if (!live.has(table)) continue
    const mine = sorted(
      await source.texts(`SELECT ${COLUMNS[table].map((c) => `\`${c}\``).join(', ')} FROM \`${table}\``),
    )
    const theirs = sorted(
      await target.texts(`SELECT ${COLUMNS[table].map((c) => `"${c}"::text`).join(', ')} FROM "${table}"`),
    )
    const at = mine.findIndex((row, index) => row !== theirs[index])
    if (at >= 0 || mine.length !== theirs.length)
      return `${table}: ${mine.length} rows and ${theirs.length}, source ${mine[at] ?? '-'}, target ${theirs[at] ?? '-'}`
  }
  return null
}

function sorted(rows: readonly (readonly (string | null)[])[]): string[] {
  return rows.map((row) => JSON.stringify(row)).sort()
}
