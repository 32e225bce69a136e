/**
 * node test/dist/e2e/dashboard.js [folder]   The page in a real Chromium (Debian's package `chromium`), with 400 tables
 * and a board of real queues; screenshots go into the folder. Ends with 1 at the first thing that is not so.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { drainAll, type EngineContext, initial, retryFailed } from '@mylab-sync/engine'
import { eventually, ServerSet } from '@mylab-sync/testkit'
import axe from 'axe-core'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { type Browser, chromium, type Page } from 'playwright-core'
import { closeContext, contextOf, type RunningDashboard, startDashboard } from '../support/dashboard.js'

const NAME = 'clinic'
const PASSWORD = 'correct horse'
const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const folder = process.argv[2] ?? '/tmp/mylab-sync-screens'
const SIGNAL = new AbortController().signal
const say = (line: string): void => void process.stdout.write(`${line}\n`)

const SOURCE = `CREATE TABLE pasien (id INT PRIMARY KEY, nama VARCHAR(40)) ENGINE=InnoDB;
  INSERT INTO pasien SELECT seq, CONCAT('p', seq) FROM seq_1_to_5000;
  CREATE TABLE hasil (id INT PRIMARY KEY, j JSON) ENGINE=InnoDB;
  INSERT INTO hasil SELECT seq, '{"a":1}' FROM seq_1_to_800; UPDATE hasil SET j = '{"a":1e200000}' WHERE id = 5;
  CREATE TABLE pesanan (id INT PRIMARY KEY, pasien INT) ENGINE=InnoDB; INSERT INTO pesanan SELECT seq, seq FROM seq_1_to_900`

/** What a large installation looks like in the middle of its first copy, by the state tables that the status reads. */
const MANY = `INSERT INTO mylab_sync.sync_progress (table_name, state, rows_synced, estimated_rows, planned, problem)
  SELECT 'tabel_' || lpad(n::text, 3, '0'),
    CASE WHEN n % 40 = 7 THEN 'broken' WHEN n % 60 = 9 THEN 'refused' WHEN n % 9 = 0 THEN 'copying'
      WHEN n % 31 = 0 THEN 'catching-up' WHEN n % 47 = 0 THEN 'paused' ELSE 'live' END,
    CASE WHEN n % 9 = 0 THEN n * 700 ELSE n * 1000 END, n * 1000, true,
    CASE WHEN n % 40 = 7 THEN 'chunk 12 fails again and again (22P02)'
      WHEN n % 60 = 9 THEN 'column data: no type of the target holds GEOMETRY; leave it out or map it to bytea' END
  FROM generate_series(1, 397) AS n`

async function main(): Promise<void> {
  const executablePath = BROWSERS.find((path) => existsSync(path))
  if (executablePath === undefined) throw new Error('no Chromium found: apt-get install chromium')
  mkdirSync(folder, { recursive: true })
  const servers = await ServerSet.start({ services: ['mariadb', 'postgres', 'redis'] })
  try {
    await servers.createDatabases({ source: NAME, target: NAME })
    const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
    try {
      await withDashboard(servers, (dashboard, context) => look(servers, browser, { dashboard, context }))
    } finally {
      await browser.close()
    }
  } finally {
    await servers.close()
  }
}

async function withDashboard(
  servers: ServerSet,
  work: (dashboard: RunningDashboard, context: EngineContext) => Promise<void>,
): Promise<void> {
  const admin = await servers.sourceAdmin(NAME)
  await admin.query(SOURCE)
  await admin.end()
  const context = await contextOf(servers, NAME)
  const connection = new Redis(servers.redisUrl, { maxRetriesPerRequest: null })
  const queues = ['copy', 'drain', 'control'].map((name) => new Queue(`mylab-${name}`, { connection }))
  for (const queue of queues) await queue.add('chunk', { table: 'pasien', from: '1', to: '500' })
  const pause = async ({ target }: EngineContext, table: string): Promise<string> => {
    const transaction = await target.begin()
    await transaction.setProgress(table, { state: 'paused' })
    await transaction.commit()
    return 'paused'
  }
  const retry = async (at: EngineContext, table: string): Promise<string> =>
    `${(await retryFailed(at, [table])).left} left`
  const dashboard = await startDashboard(servers, NAME, { password: PASSWORD, queues, actions: { pause, retry } })
  try {
    await work(dashboard, context)
  } finally {
    await dashboard.stop()
    await Promise.all(queues.map((queue) => queue.close()))
    await connection.quit()
    await closeContext(context)
  }
}

interface Looking {
  readonly dashboard: RunningDashboard
  readonly context: EngineContext
}

async function look(servers: ServerSet, browser: Browser, { dashboard, context }: Looking): Promise<void> {
  const faults: string[] = []
  const page = await open(browser, dashboard, faults)
  await page.getByText('The status cannot be read now').waitFor()
  await shoot(page, 'not-set-up')
  await page.evaluate('globalThis.sameDocument = true')
  const request = { tables: [], createTables: true, resume: false, triggers: true, force: false, takeOver: false }
  await initial(context, request, () => {}, SIGNAL)
  await page.locator('#rows tr', { hasText: 'pasien' }).getByText('live', { exact: true }).waitFor()
  await page.getByText('1 row is quarantined').waitFor()
  await page.getByRole('button', { name: 'retry hasil' }).click()
  await page.getByText('hasil: 1 left.').waitFor()
  await shoot(page, 'three-tables')
  const admin = await servers.sourceAdmin(NAME)
  await admin.query(`UPDATE hasil SET j = '{"a":2}' WHERE id = 5`)
  await admin.end()
  await drainAll(context, SIGNAL)
  await page.locator('#verdict[data-tone="right"]').waitFor()
  await shoot(page, 'right')
  await page.getByRole('button', { name: 'pause pesanan' }).click()
  await page.locator('#rows tr', { hasText: 'pesanan' }).getByText('paused', { exact: true }).waitFor()
  assert.equal(await page.evaluate('globalThis.sameDocument'), true, 'all of it without reloading')
  say('states, a problem, its end and an action are seen live in one document')

  const reader = await servers.targetAdmin(NAME)
  await reader.query(MANY)
  await reader.end()
  await many(page)
  for (const colorScheme of ['light', 'dark'] as const)
    for (const [size, width] of [
      ['wide', 1360],
      ['narrow', 390],
    ] as const) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height: 900 })
      assert.equal(
        await page.evaluate('document.documentElement.scrollWidth <= innerWidth'),
        true,
        `${size}: no scrolling sideways`,
      )
      await assertAccessible(page, `${colorScheme} ${size}`)
      await shoot(page, `400-${colorScheme}-${size}`)
      await page.locator('#tables-title').scrollIntoViewIfNeeded()
      await page.evaluate('document.querySelector("#tables").scrollIntoView()')
      await shoot(page, `400-${colorScheme}-${size}-tables`)
      await page.evaluate('scrollTo(0, 0)')
    }
  await page.setViewportSize({ width: 1360, height: 900 })
  assert.deepEqual(faults, [], 'no fault of the page, and nothing blocked by its policy')
  await board(page, faults)
}

/** Answers of other hosts, faults of the program and whatever the policy blocked are collected in `faults`. */
async function open(browser: Browser, { url }: RunningDashboard, faults: string[]): Promise<Page> {
  const context = await browser.newContext({
    httpCredentials: { username: 'admin', password: PASSWORD },
    viewport: { width: 1360, height: 900 },
  })
  const page = await context.newPage()
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) faults.push(`asked for ${request.url()}`)
  })
  await page.goto(url)
  return page
}

async function many(page: Page): Promise<void> {
  await page.getByText('tabel_397').waitFor()
  assert.equal(await page.locator('#rows tr').count(), 400)
  await page.keyboard.press('/')
  await page.keyboard.type('tabel_39')
  await eventually('8 rows are left', async () => (await page.locator('#rows tr').count()) === 8, 5_000)
  await page.keyboard.press('ControlOrMeta+a')
  await page.keyboard.press('Delete')
  await page.getByLabel('State').selectOption('broken')
  await eventually('only broken ones', async () => (await page.locator('#rows tr').count()) === 10, 5_000)
  await page.getByLabel('State').selectOption('')
  const rows = page.getByRole('button', { name: 'Rows copied', exact: true })
  await rows.focus()
  await page.keyboard.press('Enter')
  await eventually(
    'most rows first',
    async () => (await page.locator('#rows th').first().textContent()) === 'tabel_397',
    5_000,
  )
  const updateMs = await page.evaluate(`(async () => {
    const began = performance.now()
    await (await fetch('/api/status')).json()
    return performance.now() - began
  })()`)
  say(`400 tables: filter, state, sorting by keyboard; /api/status in ${Math.round(Number(updateMs))} ms`)
  await page.getByRole('button', { name: 'Table', exact: true }).click()
}

async function board(page: Page, faults: string[]): Promise<void> {
  await page.getByRole('link', { name: 'Queues' }).click()
  await page.getByText('mylab-copy').first().waitFor()
  await page.getByText('Loading').waitFor({ state: 'hidden' })
  await shoot(page, 'queues')
  await page.getByText('mylab-copy').first().click()
  await page.getByText('chunk').first().waitFor()
  await shoot(page, 'queue-copy')
  const answers = (await page.evaluate(`Promise.all([
    ['PUT', '/queues/api/queues/mylab-copy/pause'], ['PUT', '/queues/api/queues/pause'],
    ['PUT', '/queues/api/queues/mylab-copy/obliterate'], ['GET', '/queues/api/redis/stats'],
  ].map(async ([method, path]) => (await fetch(path, { method })).status))`)) as number[]
  assert.deepEqual(answers, [405, 405, 405, 403], 'the board only shows')
  say(`the board shows the queues and refuses every change; blocked by the policy: ${faults.length} of its own wishes`)
  for (const fault of new Set(faults)) say(`  ${fault.slice(0, 160)}`)
}

/** By axe: names, roles, contrasts. Its program goes in past the page's policy, as a debugger's does. */
async function assertAccessible(page: Page, what: string): Promise<void> {
  await page.evaluate(axe.source)
  const { found, rules } = (await page.evaluate(`axe.run(document).then(({ violations, passes }) => ({
    found: violations.map(({ id, nodes }) => id + ': ' + nodes.length + ' such as ' + nodes[0].html),
    rules: passes.map(({ id }) => id) }))`)) as { found: string[]; rules: string[] }
  assert.deepEqual(found, [], what)
  assert.ok(rules.includes('color-contrast') && rules.includes('th-has-data-cells'), `${what}: ${rules.join()}`)
}

async function shoot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(folder, `${name}.png`) })
}

await main()
