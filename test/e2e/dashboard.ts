import assert from 'node:assert/strict'
import { drainAll, type EngineContext, initial, retryFailed } from '@mylab-sync/engine'
import { eventually, ServerSet } from '@mylab-sync/testkit'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import type { Browser, Page } from 'playwright-core'
import { closeContext, contextOf, type RunningDashboard, startDashboard } from '../support/dashboard.js'
import { assertAccessible, assertFits, type Camera, open, say } from './browser.js'
import { loadMs, updateCosts } from './costs.js'

const NAME = 'clinic'
const PASSWORD = 'correct horse'
const SIGNAL = new AbortController().signal

const SOURCE = `CREATE TABLE pasien (id INT PRIMARY KEY, nama VARCHAR(40)) ENGINE=InnoDB;
  INSERT INTO pasien SELECT seq, CONCAT('p', seq) FROM seq_1_to_5000;
  CREATE TABLE hasil (id INT PRIMARY KEY, j JSON) ENGINE=InnoDB;
  INSERT INTO hasil SELECT seq, '{"a":1}' FROM seq_1_to_800; UPDATE hasil SET j = '{"a":1e200000}' WHERE id = 5;
  CREATE TABLE pesanan (id INT PRIMARY KEY, pasien INT) ENGINE=InnoDB; INSERT INTO pesanan SELECT seq, seq FROM seq_1_to_900`

const MORE = 397
const nameOf = (n: number): string => `tabel_${String(n).padStart(3, '0')}`
/** Each with a change that is not drained yet. */
const MANY_TABLES = Array.from(
  { length: MORE },
  (_, at) => `CREATE TABLE ${nameOf(at + 1)} (id INT PRIMARY KEY, t VARCHAR(20)) ENGINE=InnoDB;
    INSERT INTO ${nameOf(at + 1)} SELECT seq, 'x' FROM seq_1_to_20`,
).join(';\n')

/** They are copied truly; then the state tables are given what a large installation looks like on a bad day. */
const BAD_DAY = `UPDATE mylab_sync.sync_progress AS p SET
    state = CASE WHEN n % 40 = 7 THEN 'broken' WHEN n % 60 = 9 THEN 'refused' WHEN n % 9 = 0 THEN 'copying'
      WHEN n % 31 = 0 THEN 'catching-up' WHEN n % 47 = 0 THEN 'paused' ELSE state END,
    rows_synced = CASE WHEN n % 9 = 0 THEN n * 700 ELSE n * 1000 END, estimated_rows = n * 1000,
    problem = CASE WHEN n % 40 = 7 THEN 'chunk 12 fails again and again (22P02)'
      WHEN n % 60 = 9 THEN 'column data: no type of the target holds GEOMETRY; leave it out or map it to bytea' END
  FROM (SELECT table_name AS name, substr(table_name, 7)::int AS n FROM mylab_sync.sync_progress
    WHERE table_name LIKE 'tabel%') AS each WHERE p.table_name = each.name`

/** From a database that is not set up to one of 400 tables, behind a password, with a board of queues of its own. */
export async function lookAtManyTables(browser: Browser, camera: Camera): Promise<void> {
  const servers = await ServerSet.start({ services: ['mariadb', 'postgres', 'redis'] })
  try {
    await servers.createDatabases({ source: NAME, target: NAME })
    await withDashboard(servers, (dashboard, context) => look({ servers, browser, camera, dashboard, context }))
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
    await transaction.tables.step(table, 'pause')
    await transaction.commit()
    return 'paused'
  }
  const retry = async (at: EngineContext, table: string): Promise<string> =>
    `${(await retryFailed(at, [table])).left} left`
  const dashboard = await startDashboard(servers, NAME, { password: PASSWORD, queues, actions: { pause, retry } })
  try {
    await work(dashboard, context)
  } finally {
    await dashboard[Symbol.asyncDispose]()
    await Promise.all(queues.map((queue) => queue.close()))
    await connection.quit()
    await closeContext(context)
  }
}

interface Looking {
  readonly servers: ServerSet
  readonly browser: Browser
  readonly camera: Camera
  readonly dashboard: RunningDashboard
  readonly context: EngineContext
}

async function look(at: Looking): Promise<void> {
  const { servers, camera, context } = at
  const faults: string[] = []
  const { url } = at.dashboard
  const page = await open(at.browser, url, faults, PASSWORD)
  await live(at, page)

  const admin = await servers.sourceAdmin(NAME)
  await admin.query(MANY_TABLES).finally(() => admin.end())
  const started = performance.now()
  await copy(context)
  say(`400 tables: the copy of 397 small ones took ${Math.round((performance.now() - started) / 1000)} s`)
  const reader = await servers.targetAdmin(NAME)
  await reader.query(BAD_DAY).finally(() => reader.end())
  say(`400 tables: page in ${await loadMs(page, url, 400)} ms`)
  const { updates, bytes, jsonBytes, busyMs } = await updateCosts(page, 5)
  say(`400 tables: each of ${updates} updates costs ${bytes} bytes (${jsonBytes} of JSON) and ${busyMs} ms of the page`)
  await many(page)
  await pictures(page, camera)
  assert.deepEqual(faults, [], 'no fault of the page, and nothing blocked by its policy')
  await board(page, camera)
}

async function copy(context: EngineContext): Promise<void> {
  const request = { tables: [], createTables: true, resume: false, triggers: true, force: false, takeOver: false }
  await initial(context, request, () => {}, SIGNAL)
}

/** States, a problem, its end and an action, all in one document. */
async function live({ servers, camera, context }: Looking, page: Page): Promise<void> {
  await page.getByText('The status cannot be read now').waitFor()
  await camera.shoot(page, 'not-set-up')
  await page.evaluate('globalThis.sameDocument = true')
  await copy(context)
  await page.locator('#rows tr', { hasText: 'pasien' }).getByText('live', { exact: true }).waitFor()
  await page.locator('#problem-list').getByText('1 row is quarantined').waitFor()
  await page.getByRole('button', { name: 'retry hasil' }).click()
  await page.getByText('hasil: 1 left.').waitFor()
  await camera.shoot(page, 'three-tables')
  const admin = await servers.sourceAdmin(NAME)
  await admin.query(`UPDATE hasil SET j = '{"a":2}' WHERE id = 5`).finally(() => admin.end())
  await drainAll(context, SIGNAL)
  await page.locator('#verdict[data-tone="right"]').waitFor()
  await camera.shoot(page, 'right')
  await page.getByRole('button', { name: 'pause pesanan' }).click()
  await page.locator('#rows tr', { hasText: 'pesanan' }).getByText('paused', { exact: true }).waitFor()
  assert.equal(await page.evaluate('globalThis.sameDocument'), true, 'all of it without reloading')
  say('states, a problem, its end and an action are seen live in one document')
}

async function many(page: Page): Promise<void> {
  assert.equal(await page.locator('#rows tr').count(), 400)
  await page.keyboard.press('/')
  await page.keyboard.type('tabel_39')
  await eventually('8 rows are left', async () => (await page.locator('#rows tr').count()) === 8, 5_000)
  await page.keyboard.press('ControlOrMeta+a')
  await page.keyboard.press('Delete')
  await page.getByLabel('State').selectOption('broken')
  await eventually('only broken ones', async () => (await page.locator('#rows tr').count()) === 10, 5_000)
  await page.getByLabel('State').selectOption('')
  await page.getByRole('button', { name: 'Rows copied', exact: true }).focus()
  await page.keyboard.press('Enter')
  const first = page.locator('#rows th').first()
  await eventually('most rows first', async () => (await first.textContent()) === 'tabel_397', 5_000)
  await page.getByRole('button', { name: 'Table', exact: true }).click()
  say('400 tables: filter, state, and sorting by keyboard')
}

async function pictures(page: Page, camera: Camera): Promise<void> {
  await camera.everywhere(page, '400', async (at, where) => {
    await assertFits(at, where)
    await assertAccessible(at, where)
  })
  await camera.everywhere(page, '400-tables', async (at, where) => {
    await at.locator('#rows tr', { hasText: 'tabel_200' }).scrollIntoViewIfNeeded()
    await assertFits(at, where)
  })
  await page.evaluate('scrollTo(0, 0)')
  await page.getByRole('button', { name: /^Show all/ }).click()
  await camera.everywhere(page, '400-problems', assertFits)
  await page.locator('#problem-list').getByRole('button', { name: 'tabel_127' }).click()
  await eventually('its table alone', async () => (await page.locator('#rows tr').count()) === 1, 5_000)
  await camera.everywhere(page, '400-one-table', assertFits)
}

async function board(page: Page, camera: Camera): Promise<void> {
  await page.getByRole('link', { name: 'Queues' }).click()
  await page.getByText('mylab-copy').first().waitFor()
  await page.getByText('Loading').waitFor({ state: 'hidden' })
  await camera.shoot(page, 'queues')
  const answers = (await page.evaluate(`Promise.all([
    ['PUT', '/queues/api/queues/mylab-copy/pause'], ['PUT', '/queues/api/queues/pause'],
    ['PUT', '/queues/api/queues/mylab-copy/obliterate'], ['GET', '/queues/api/redis/stats'],
  ].map(async ([method, path]) => (await fetch(path, { method })).status))`)) as number[]
  assert.deepEqual(answers, [405, 405, 405, 403], 'the board only shows')
  say('the board shows the queues and refuses every change')
}
