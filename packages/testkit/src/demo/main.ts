import { spawn } from 'node:child_process'
import { CLINIC_STATEMENTS } from '../datasets/clinic.js'
import { eventually } from '../eventually.js'
import { ServerSet } from '../servers/server-set.js'
import { type Comparison, compareEverything } from './compare.js'
import { WriteLoad } from './write-load.js'

const CLI = new URL('../../../../apps/cli/bin/mylab-sync.js', import.meta.url).pathname
const LIVE_MS = 10_000
const DRAIN_MS = 120_000
const say = (line: string): void => void process.stdout.write(`${line}\n`)

interface Running {
  readonly environment: Record<string, string>
  readonly servers: ServerSet
}

/** Runs one command of the product as a user would, showing what it says. Throws where its exit code is not among `ok`. */
function product(at: Running, args: readonly string[], ok: readonly number[] = [0]): Promise<string> {
  say(`\n$ mylab-sync ${args.join(' ')}`)
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, ...args], {
      env: { ...process.env, ...at.environment, SYNC_USE_QUEUE: 'false' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let out = ''
    child.stdout.on('data', (data: Buffer) => {
      out += data.toString()
      if (!args.includes('--json')) process.stdout.write(data)
    })
    child.once('error', reject)
    child.once('exit', (code) =>
      ok.includes(code ?? -1) ? resolve(out) : reject(new Error(`mylab-sync ${args.join(' ')}: exit ${code}`)),
    )
  })
}

async function loadClinic(servers: ServerSet): Promise<void> {
  await servers.createDatabases({ source: 'clinic', target: 'clinic' })
  const admin = await servers.sourceAdmin('clinic')
  try {
    for (const statement of CLINIC_STATEMENTS) await admin.query(statement)
  } finally {
    await admin.end()
  }
}

async function copyAndFollow(at: Running, live: () => Promise<void>): Promise<Comparison[]> {
  await product(at, ['migrate'])
  await product(at, ['setup-triggers'])
  const writers = await Promise.all([1, 2, 3].map(() => at.servers.sourceAdmin('clinic')))
  const load = new WriteLoad(writers, 1)
  const daemon = { child: undefined as ReturnType<typeof spawn> | undefined }
  try {
    await product(at, ['initial', '--create-tables'], [0, 5])
    say('\n$ mylab-sync database --daemon')
    daemon.child = spawn(process.execPath, [CLI, 'database', '--daemon'], {
      env: { ...process.env, ...at.environment, SYNC_USE_QUEUE: 'false' },
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    await live()
    await load.stop()
    say(`\n${load.statements} statements written meanwhile; waiting until all of them have arrived`)
    await eventually(
      'nothing is pending',
      async () =>
        (JSON.parse(await product(at, ['database', '--check-pending', '--json'])) as { pending: number }).pending === 0,
      DRAIN_MS,
    )
  } finally {
    // on the way out after another error; the good way has awaited it above
    await load.stop().catch(() => {})
    await Promise.all(writers.map((writer) => writer.end()))
    await stopDaemon(daemon.child)
  }
  // tables without triggers are carried again by the control work of a single pass
  await product(at, ['database', '--once'])
  await product(at, ['status'], [0, 5])
  return compare(at)
}

async function stopDaemon(child: ReturnType<typeof spawn> | undefined): Promise<void> {
  if (!child || child.exitCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
}

async function compare(at: Running): Promise<Comparison[]> {
  const source = await at.servers.sourceAdmin('clinic')
  const target = await at.servers.targetAdmin('clinic')
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

async function main(once: boolean): Promise<number> {
  const started = performance.now()
  const servers = await ServerSet.start({ services: ['mariadb', 'postgres'], log: say })
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve)
  })
  try {
    const at: Running = { servers, environment: servers.environment({ source: 'clinic', target: 'clinic' }) }
    delete at.environment['REDIS_URL']
    say('loading the sample clinic database')
    await loadClinic(servers)
    const tables = await copyAndFollow(at, async () => {
      if (once) return new Promise((resolve) => setTimeout(resolve, LIVE_MS))
      say(
        `\nLive. Try it: the source is ${servers.server('mariadb').socket} (root, database clinic), the target port ${servers.server('postgres').port} (user mylab).`,
      )
      say('Change a row in MariaDB and look for it in PostgreSQL. Ctrl-C compares everything and stops.')
      await stopped
    })
    const equal = summary(tables)
    say(`${Math.round((performance.now() - started) / 1000)} s in all`)
    return equal ? 0 : 1
  } finally {
    await servers.close()
  }
}

try {
  process.exitCode = await main(process.argv.includes('--once'))
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
