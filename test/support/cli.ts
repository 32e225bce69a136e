import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { ServerSet } from '@mylab-sync/testkit'

const BIN = new URL('../../../apps/cli/bin/mylab-sync.js', import.meta.url).pathname
const LOOK_MS = 20

export interface Run {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  readonly seconds: number
  /** Largest resident memory seen. */
  readonly peakMb: number
}

/** A command that runs until it is stopped. */
export interface Started {
  /** Sends SIGTERM; resolves with the exit code once the command has ended. */
  stop(): Promise<number | null>
}

export function start(servers: ServerSet, name: string, args: readonly string[]): Started {
  const env = { ...process.env, ...servers.environment({ source: name, target: name }), SYNC_USE_QUEUE: 'false' }
  const child = spawn(process.execPath, [BIN, ...args], { env, stdio: 'ignore' })
  return {
    async stop() {
      if (child.exitCode !== null) return child.exitCode
      const ended = once(child, 'close')
      child.kill('SIGTERM')
      await ended
      return child.exitCode
    },
  }
}

/** Runs one command of the CLI to its end, between two databases of one name. */
export async function run(
  servers: ServerSet,
  name: string,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<Run> {
  const started = performance.now()
  const own = servers.environment({ source: name, target: name })
  const env = { ...process.env, ...own, SYNC_USE_QUEUE: 'false', ...more }
  const child = spawn(process.execPath, [BIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  let peakMb = 0
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()))
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()))
  const timer = setInterval(() => {
    residentMb(child.pid).then(
      (mb) => (peakMb = Math.max(peakMb, mb)),
      // The process has just ended.
      () => {},
    )
  }, LOOK_MS)
  try {
    await once(child, 'close')
  } finally {
    clearInterval(timer)
  }
  return { code: child.exitCode, stdout, stderr, seconds: (performance.now() - started) / 1000, peakMb }
}

/** Like `run`, but throws with the command's stderr unless the exit code is 0. */
export async function measured(servers: ServerSet, name: string, args: readonly string[]): Promise<Run> {
  const result = await run(servers, name, args)
  assert.equal(result.code, 0, `${args.join(' ')}: ${result.stderr}`)
  return result
}

async function residentMb(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
}
