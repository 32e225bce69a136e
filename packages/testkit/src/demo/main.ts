import { freePort } from '../free-port.js'
import { ServerSet } from '../servers/server-set.js'
import { demonstrate, demonstrateUntilSignal, type Stage } from './demo.js'
import { DATABASE } from './guide.js'

const LIVE_MS = 10_000
const EXIT_OF: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 }
const say = (line: string): void => void process.stdout.write(`${line}\n`)

async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )
}

async function once(stage: Stage): Promise<number> {
  const isEqual = await demonstrate(stage, () => new Promise((resolve) => setTimeout(resolve, LIVE_MS)))
  return isEqual ? 0 : 1
}

async function stay(stage: Stage): Promise<number> {
  await demonstrateUntilSignal(stage)
  return 0
}

async function main(work: (stage: Stage) => Promise<number>, signal: AbortSignal): Promise<number> {
  const started = performance.now()
  const servers = await ServerSet.start({ services: ['mariadb', 'postgres', 'redis'], log: say })
  try {
    const port = await freePort()
    const environment = {
      ...servers.environment({ source: DATABASE, target: DATABASE }),
      SYNC_USE_QUEUE: 'true',
      SYNC_DASHBOARD_PORT: String(port),
    }
    const dashboard = `http://127.0.0.1:${port}`
    const dashboardAnswers = (): Promise<boolean> => answers(`${dashboard}/healthz`)
    return await work({ servers, environment, dashboard, dashboardAnswers, signal, say })
  } finally {
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
