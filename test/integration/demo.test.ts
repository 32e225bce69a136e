import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { eventually } from '@mylab-sync/testkit'

const ROOT = new URL('../../../', import.meta.url).pathname
const READY_MS = 240_000
const SEEN_MS = 60_000
const STOP_MS = 60_000

/** A command as the demo prints it, pasted into a shell. */
async function paste(command: string): Promise<string> {
  return (await promisify(execFile)('/bin/sh', ['-c', command])).stdout
}

/** Command lines that hold this text, of processes that are alive: by /proc, since a small system has no `ps`. */
function commandsNaming(text: string): string[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return []
    try {
      const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ')
      return command.includes(text) ? [`${entry} ${command}`] : []
    } catch {
      // it ended meanwhile
      return []
    }
  })
}

test('the demo stays up, does what it says can be tried, and Ctrl-C leaves nothing', async () => {
  const demo = spawn(process.execPath, ['scripts/demo.mjs'], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(demo, 'exit')
  let out = ''
  demo.stdout.on('data', (data: Buffer) => (out += data.toString()))
  try {
    await eventually('it is live', () => demo.exitCode !== null || /kill -9 \d+\n/.test(out), READY_MS)
    await tryAll(out, (what) => out.includes(what))
  } finally {
    demo.kill('SIGINT')
    const late = setTimeout(() => demo.kill('SIGKILL'), STOP_MS)
    const [code] = (await ended) as [number | null]
    clearTimeout(late)
    assert.equal(code, 130, out.slice(-2000))
  }
  // finds existing processes, so that finding none later is meaningful
  assert.equal(commandsNaming('demo.test.js').length > 0, true)
  const [, folder = ''] = /passwords +in (\/\S+)\/bin\/mylab-sync/.exec(out) ?? []
  assert.ok(folder.length > 5, out)
  assert.deepEqual(commandsNaming(folder), [])
})

type Commands = [string, string, string, string, string, string, string, string]

/** Every command and page that the demo prints. */
async function tryAll(out: string, hasSaid: (what: string) => boolean): Promise<void> {
  const commands = out.split('\n').filter((line) => /^ {2}(\/|kill)/.test(line))
  assert.equal(commands.length, 8, out)
  const [status, counts, change, look, empty, suspect, count, kill] = commands as Commands
  const [, page = ''] = /dashboard +(http:\S+)/.exec(out) ?? []
  for (const path of ['/', '/queues', '/metrics', '/healthz']) assert.equal((await fetch(page + path)).status, 200)
  // Tables that are copied as a whole are being copied at some moments.
  const isEqual = async (): Promise<boolean> =>
    (await paste(status)).startsWith('15 of 15 tables equal the source as of ')
  await eventually('all tables are equal', isEqual, SEEN_MS)
  assert.match(await paste(counts), /bayar/)

  await paste(change)
  await eventually('the change is there', async () => (await paste(look)).includes('dr. Baru'), SEEN_MS)

  const rows = async (): Promise<number> => Number(/^ +(\d+)$/m.exec(await paste(count))?.[1])
  const before = await rows()
  await paste(empty)
  await eventually('the table was copied again', async () => (await rows()) < before / 2, SEEN_MS)
  await eventually('it is live again', async () => / live /.test(await paste(suspect)), SEEN_MS)

  await paste(kill)
  await eventually('the worker was started again', () => hasSaid('worker-1 ended (SIGKILL)'), SEEN_MS)
}
