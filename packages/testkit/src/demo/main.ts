import { CLINIC_STATEMENTS } from '../datasets/clinic.js'
import { eventually } from '../eventually.js'
import { freePort } from '../free-port.js'
import { ServerSet } from '../servers/server-set.js'
import { type Comparison, compareEverything } from './compare.js'
import { DATABASE, guide } from './guide.js'
import { Product, say } from './product.js'
import { WriteLoad } from './write-load.js'

const LIVE_MS = 10_000
const DRAIN_MS = 120_000
const READY_MS = 60_000
/** Between two statements of a writer: enough to be seen, little beside what somebody tries. */
const STAYING_PAUSE_MS = 400
const EXIT_OF: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 }

interface Running {
  readonly servers: ServerSet
  readonly product: Product
  readonly environment: Record<string, string>
  readonly dashboard: string
  readonly signal: AbortSignal
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
    say('')
    product.stay('scheduler', ['scheduler'])
    const workers = [1, 2].map((number) => product.stay(`worker-${number}`, ['worker']))
    product.stay('dashboard', ['dashboard'])
    await eventually('the dashboard answers', () => answers(`${at.dashboard}/healthz`), READY_MS)
    await live(workers)
    await writing.stop()
    return writing.statements
  } finally {
    // on the way out after another error; the good way has awaited it above
    await writing.stop().catch(() => {})
    await Promise.all(writers.map((writer) => writer.end()))
  }
}

async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )
}

/** To the end: everything that was written has arrived, and every row is compared. */
async function once(at: Running): Promise<number> {
  const { product } = at
  const statements = await copyAndFollow(
    at,
    { writers: 3, pauseMs: 5 },
    () => new Promise((resolve) => setTimeout(resolve, LIVE_MS)),
  )
  say(`\n${statements} statements written meanwhile; waiting until all of them have arrived`)
  const pending = async (): Promise<number> =>
    (JSON.parse(await product.run(['database', '--check-pending', '--json'])) as { pending: number }).pending
  await eventually('nothing is pending', async () => (await pending()) === 0, DRAIN_MS)
  await product.run(['status'], [0, 5])
  await product.stop()
  // tables without triggers are carried again by the control work of a single pass
  await product.run(['database', '--once'])
  return summary(await compare(at)) ? 0 : 1
}

/** Until a signal. */
async function stay(at: Running): Promise<number> {
  const { servers, environment, dashboard, signal } = at
  await copyAndFollow(at, { writers: 1, pauseMs: STAYING_PAUSE_MS }, async (workers) => {
    await guide({ servers, environment, dashboard, workers })
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  })
  return 0
}

async function compare({ servers }: Running): Promise<Comparison[]> {
  const source = await servers.sourceAdmin(DATABASE)
  const target = await servers.targetAdmin(DATABASE)
  try {
    return await compareEverything(source, target)
  } finally {
    await source.end()
    await target.end()
  }
}

function summary(tables: readonly Comparison[]): boolean {
  say('\nEvery row of both databases, compared without the product:')
  for (const { table, source, target, different } of tables) {
    say(
      `  ${table.padEnd(14)} ${String(source).padStart(7)} = ${String(target).padStart(7)}  ${different === 0 ? 'equal' : `${different} rows DIFFER`}`,
    )
  }
  const equal = tables.every((table) => table.different === 0)
  say(equal ? 'Equal: every row of every table.' : 'DIFFERENT: see above.')
  return equal
}

async function main(work: (at: Running) => Promise<number>, signal: AbortSignal): Promise<number> {
  const started = performance.now()
  const servers = await ServerSet.start({ services: ['mariadb', 'postgres', 'redis'], log: say })
  const port = await freePort()
  const environment = {
    ...servers.environment({ source: DATABASE, target: DATABASE }),
    SYNC_USE_QUEUE: 'true',
    SYNC_DASHBOARD_PORT: String(port),
  }
  const product = new Product({ environment, directory: servers.directory, signal })
  try {
    signal.throwIfAborted()
    say('loading the sample clinic database')
    await loadClinic(servers)
    return await work({ servers, product, environment, dashboard: `http://127.0.0.1:${port}`, signal })
  } finally {
    if (signal.aborted) say('\nstopping')
    await product.stop()
    await servers.close()
    say(`${Math.round((performance.now() - started) / 1000)} s in all`)
  }
}

const stopped = new AbortController()
let code = 0
for (const signal of Object.keys(EXIT_OF) as NodeJS.Signals[])
  process.on(signal, () => {
    code ||= EXIT_OF[signal] ?? 1
    stopped.abort()
  })
try {
  const outcome = await main(process.argv.includes('--once') ? once : stay, stopped.signal)
  process.exitCode = code || outcome
} catch (error) {
  if (code === 0) process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = code || 1
}
