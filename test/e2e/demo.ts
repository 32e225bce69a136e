import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { execFile } from 'node:child_process'
import { eventually } from '@mylab-sync/testkit'
import type { Browser, Page } from 'playwright-core'
import { ROOT } from '../support/run.js'
import { assertAccessible, assertFits, type Camera, open, say } from './browser.js'
import { loadMs, updateCosts } from './costs.js'

const READY_MS = 180_000
const SEEN_MS = 60_000
/** A number that PostgreSQL's jsonb cannot hold. */
const POISON = `UPDATE pengaturan SET nilai = '{\\"v\\": 1e200000}' WHERE nama = 'kunci.7'`
const MENDED = `UPDATE pengaturan SET nilai = '{\\"v\\": 1}' WHERE nama = 'kunci.7'`

/** The page and the board over the demo as a user starts it: two workers, a scheduler, a small write load. */
export async function lookAtDemo(browser: Browser, camera: Camera): Promise<void> {
  const demo = spawn(process.execPath, ['scripts/demo.mjs'], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(demo, 'exit')
  let out = ''
  demo.stdout.on('data', (data: Buffer) => (out += data.toString()))
  try {
    await eventually('the demo is live', () => demo.exitCode !== null || /kill -9 \d+\n/.test(out), READY_MS)
    const [, url = ''] = /dashboard +(http:\S+)/.exec(out) ?? []
    const [, mariadb = ''] = /^ {2}(\S+\/bin\/mariadb) -e/m.exec(out) ?? []
    const faults: string[] = []
    const page = await open(browser, `${url}/`, faults)
    await status(page, camera, async (statement) => {
      await promisify(execFile)(mariadb, ['-e', statement.replaceAll('\\"', '"')])
    })
    say(`demo: page with 15 tables in ${await loadMs(page, `${url}/`, 15)} ms`)
    const costs = await updateCosts(page, 5)
    say(`demo: an update costs ${costs.bytes} bytes (${costs.jsonBytes} of JSON) and ${costs.busyMs} ms of the page`)
    assert.deepEqual(faults, [], 'no fault of the page, and nothing blocked by its policy')
    await board(page, camera)
  } finally {
    demo.kill('SIGINT')
    const [code] = (await ended) as [number | null]
    assert.equal(code, 130, out.slice(-2000))
  }
}

async function status(page: Page, camera: Camera, change: (statement: string) => Promise<void>): Promise<void> {
  const row = page.locator('#rows tr', { hasText: 'pengaturan' })
  await row.getByText('live', { exact: true }).waitFor({ timeout: SEEN_MS })
  await change(POISON)
  await row.getByRole('button', { name: 'retry' }).waitFor({ timeout: SEEN_MS })
  await row.getByRole('button', { name: 'retry' }).click()
  await page.getByText(/pengaturan: 1 row tried again: 0 applied, 1 still quarantined/).waitFor({ timeout: SEEN_MS })
  await camera.everywhere(page, 'demo', async (at, where) => {
    await assertFits(at, where)
    await assertAccessible(at, where)
  })
  await change(MENDED)
  await row.getByRole('button', { name: 'retry' }).waitFor({ state: 'hidden', timeout: SEEN_MS })
  say('demo: a refused row appears live, is retried by a button, and disappears once it is fixed')
}

/** Its queues hold what two workers have done. */
async function board(page: Page, camera: Camera): Promise<void> {
  await page.getByRole('link', { name: 'Queues' }).click()
  await page.getByRole('link', { name: 'drain' }).first().waitFor()
  await camera.everywhere(page, 'demo-queues', assertFits)
  await page.getByRole('link', { name: 'drain' }).first().click()
  await page.getByText('Finished').first().waitFor()
  await camera.everywhere(page, 'demo-queue-drain', assertFits)
  await page.goto(new URL('/queues/queue/drain/1', page.url()).href)
  await page.getByText('Finished').first().waitFor()
  await camera.everywhere(page, 'demo-job', assertFits)
  await page.locator('header button').last().click()
  await page.getByText('Status', { exact: true }).click()
  await page.locator('#rows tr').first().waitFor()
  say('demo: the board shows queues and jobs, and leads back')
}
