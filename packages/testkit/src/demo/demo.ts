import { CLINIC_STATEMENTS } from '../datasets/clinic.js'
import { eventually } from '../eventually.js'
import type { ServerSet } from '../servers/server-set.js'
import { type Comparison, compareEverything } from './compare.js'
import { DATABASE, guide } from './guide.js'
import { Product } from './product.js'
import { WriteLoad } from './write-load.js'

const DRAIN_MS = 120_000
const READY_MS = 60_000
/** Pause between two statements of a writer: enough load to be visible, but little compared with what users try. */
const STAYING_PAUSE_MS = 400

/** The demo's servers and databases; their creator removes them. */
export interface Stage {
  readonly servers: ServerSet
  /** The product's settings for the servers; their databases are called `clinic`. */
  readonly environment: Record<string, string>
  readonly dashboard: string
  readonly dashboardAnswers: () => Promise<boolean>
  /** Ends the demo. */
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}

interface Running extends Stage {
  readonly product: Product
}

/** Sets up, copies and follows under a write load while `live` runs, then waits until everything has arrived. Returns whether all rows are equal. */
export function demonstrate(stage: Stage, live: (product: Product) => Promise<void>): Promise<boolean> {
  return withProduct(stage, (at) => toTheEnd(at, live))
}

/** As `demonstrate`, until the signal; prints a guide of what to look at and try. */
export function demonstrateUntilSignal(stage: Stage): Promise<void> {
  return withProduct(stage, stay)
}

async function withProduct<T>(stage: Stage, work: (at: Running) => Promise<T>): Promise<T> {
  const { servers, environment, signal, say } = stage
  const product = new Product({ environment, directory: servers.directory, signal, say })
  try {
    signal.throwIfAborted()
    say('loading the sample clinic database')
    await loadClinic(servers)
    return await work({ ...stage, product })
  } finally {
    if (signal.aborted) say('\nstopping')
    await product.stop()
  }
}

async function loadClinic(servers: ServerSet): Promise<void> {
  await servers.createDatabases({ source: DATABASE, target: DATABASE })
  const admin = await servers.sourceAdmin(DATABASE)
  try {
    for (const statement of CLINIC_STATEMENTS) await admin.query(statement)
  } finally {
    await admin.end()
  }
}

/** Sets up, copies under a write load and follows with a scheduler, two workers and the dashboard, while `live` lasts. */
async function copyAndFollow(
  at: Running,
  load: { readonly writers: number; readonly pauseMs: number },
  live: (workers: ReturnType<Product['stay']>[]) => Promise<void>,
): Promise<number> {
  const { servers, product } = at
  await product.run(['migrate'])
  await product.run(['setup-triggers'])
  const writers = await Promise.all(Array.from({ length: load.writers }, () => servers.sourceAdmin(DATABASE)))
  const writing = new WriteLoad(writers, 1, load.pauseMs)
  try {
    await product.run(['initial', '--create-tables'], [0, 5])
    at.say('')
    product.stay('scheduler', ['scheduler'])
    const workers = [1, 2].map((number) => product.stay(`worker-${number}`, ['worker']))
    product.stay('dashboard', ['dashboard'])
    await eventually('the dashboard answers', at.dashboardAnswers, READY_MS)
    await live(workers)
    await writing.stop()
    return writing.statements
  } finally {
    // after another error; on success it was awaited above
    await writing.stop().catch(() => {})
    await Promise.all(writers.map((writer) => writer.end()))
  }
}

/** Waits until everything written has arrived, then compares all rows. */
async function toTheEnd(at: Running, live: (product: Product) => Promise<void>): Promise<boolean> {
  const { product } = at
  const statements = await copyAndFollow(at, { writers: 3, pauseMs: 5 }, () => live(product))
  at.say(`\n${statements} statements executed meanwhile; waiting until all changes have arrived`)
  const pending = async (): Promise<number> =>
    (JSON.parse(await product.run(['database', '--check-pending', '--json'])) as { pending: number }).pending
  await eventually('nothing is pending', async () => (await pending()) === 0, DRAIN_MS)
  await product.run(['status'], [0, 5])
  await product.stop()
  // a single pass also copies tables without triggers again
  await product.run(['database', '--once'])
  return summary(await compare(at), at.say)
}

/** Runs until the signal. */
async function stay(at: Running): Promise<void> {
  const { signal } = at
  await copyAndFollow(at, { writers: 1, pauseMs: STAYING_PAUSE_MS }, async (workers) => {
    await guide({ ...at, workers })
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  })
}

async function compare({ servers }: Stage): Promise<Comparison[]> {
  const source = await servers.sourceAdmin(DATABASE)
  const target = await servers.targetAdmin(DATABASE)
  try {
    return await compareEverything(source, target)
  } finally {
    await source.end()
    await target.end()
  }
}

function summary(tables: readonly Comparison[], say: Stage['say']): boolean {
  say('\nAll rows of both databases, compared independently of the product:')
  for (const { table, source, target, different } of tables) {
    say(
      `  ${table.padEnd(14)} ${String(source).padStart(7)} = ${String(target).padStart(7)}  ${different === 0 ? 'equal' : `${different} rows DIFFER`}`,
    )
  }
  const equal = tables.every((table) => table.different === 0)
  say(equal ? 'Equal: every row of every table.' : 'DIFFERENT: see above.')
  return equal
}
