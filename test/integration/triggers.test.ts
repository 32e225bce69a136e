import assert from 'node:assert/strict'
import { test } from 'node:test'
import { initial, JobHandlers, setupTriggers } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { dropTriggers, FAMILY } from '../support/family.js'
import {
  assertEqual,
  copyAll,
  createInstallation,
  type Installation,
  NEVER_ABORTED,
  settle,
  states,
  unwatched,
} from '../support/installation.js'
import type { Watch } from '../support/intercept.js'
import { during } from '../support/moments.js'

const servers = await sharedServers()

test('what a table did while its trigger was gone is found in all that it acts on', async () => {
  await using installation = await createInstallation(servers, 'r_trigger', { schema: FAMILY, copied: true })
  await withoutTriggers(installation.app)
  await settle(installation)
  assert.deepEqual(await states(installation), { c: 'live', g: 'live', other: 'live', p: 'live' })
  await assertEqual(installation, ['p', 'c', 'g', 'other'])
  await installation.app.query('DELETE FROM p WHERE id = 3')
  await settle(installation)
  await assertEqual(installation, ['p', 'c', 'g', 'other'])
})

/** The child is deleted with its parent, and the parent returns: nothing in the target reveals that. */
async function withoutTriggers(app: Installation['app']): Promise<void> {
  await dropTriggers(app, 'p')
  await app.query('DELETE FROM p WHERE id = 1; INSERT INTO p VALUES (1, 1); UPDATE p SET id = 9 WHERE id = 2')
}

test('changes missed without triggers are found although set up again before any look', async () => {
  await using installation = await createInstallation(servers, 'r_setup', { schema: FAMILY, copied: true })
  await withoutTriggers(installation.app)
  await setupTriggers(installation.context, { tables: [], recreate: false, dryRun: false })
  await settle(installation)
  assert.deepEqual(await states(installation), { c: 'live', g: 'live', other: 'live', p: 'live' })
  await assertEqual(installation, ['p', 'c', 'g', 'other'])
})

test('changes missed on an uncarried parent are found though another copy restores it', async () => {
  await using installation = await createInstallation(servers, 'r_beside', { schema: FAMILY })
  const at = {
    ...installation,
    context: { ...installation.context, options: { ...installation.context.options, exclude: ['p'] } },
  }
  await copyAll(at.context)
  await withoutTriggers(at.app)
  await copyAll(at.context, ['other'])
  await settle(at)
  assert.deepEqual(await states(at), { c: 'live', g: 'live', other: 'live' })
  await assertEqual(at, ['c', 'g', 'other'])
})

test('changes missed by a dropped trigger are found though it was re-created as it was', async () => {
  await using installation = await createInstallation(servers, 'r_again', { schema: FAMILY, copied: true })
  const definitions = await createStatements(installation.app, 'p')
  await withoutTriggers(installation.app)
  for (const definition of definitions) await installation.app.query(definition)
  await settle(installation)
  assert.deepEqual(await states(installation), { c: 'live', g: 'live', other: 'live', p: 'live' })
  await assertEqual(installation, ['p', 'c', 'g', 'other'])
})

test('triggers that we re-create ourselves miss nothing, and no table is recopied', async () => {
  await using installation = await createInstallation(servers, 'r_recreate', { schema: FAMILY, copied: true })
  const copies = await installation.rows('SELECT table_name, copy_no FROM mylab_sync.sync_progress ORDER BY 1')
  const before = await createdOf(installation.app)
  await setupTriggers(installation.context, { tables: ['other'], recreate: true, dryRun: false })
  await setupTriggers(installation.context, { tables: [], recreate: true, dryRun: false })
  assert.notDeepEqual(await createdOf(installation.app), before)
  await settle(installation)
  assert.deepEqual(
    await installation.rows('SELECT table_name, copy_no FROM mylab_sync.sync_progress ORDER BY 1'),
    copies,
  )
})

/** Calls `act` once, between two steps of the first opening. */
function duringOpening(act: () => Promise<unknown>): { readonly watch: Watch; hasActed(): boolean } {
  let done = false
  const watch = during({
    'opening:scanned': async () => {
      if (done) return
      done = true
      await act()
    },
  })
  return { watch, hasActed: () => done }
}

test('triggers dropped during opening are re-created, and their table is recopied', async () => {
  const act = async (app: Installation['app']): Promise<void> => {
    await dropTriggers(app)
    await app.query('INSERT INTO other VALUES (2, 2); UPDATE c SET v = 9; DELETE FROM p WHERE id = 1')
  }
  let app: Installation['app'] | undefined
  const opening = duringOpening(async () => app && act(app))
  await using installation = await createInstallation(servers, 'r_opening', { schema: FAMILY, watch: opening.watch })
  app = installation.app
  await copyAll(installation.context)
  assert.ok(opening.hasActed())
  assert.deepEqual(await states(installation), { c: 'live', g: 'live', other: 'live', p: 'live' })
  await settle(installation)
  await assertEqual(installation, ['p', 'c', 'g', 'other'])
})

test('re-creating triggers during opening forces a new copy', async () => {
  const act = async (app: Installation['app']): Promise<void> => {
    const definitions = await createStatements(app, 'other')
    await dropTriggers(app, 'other')
    await app.query('INSERT INTO other VALUES (2, 2); UPDATE other SET v = 9')
    for (const definition of definitions) await app.query(definition)
  }
  let app: Installation['app'] | undefined
  const opening = duringOpening(async () => app && act(app))
  await using installation = await createInstallation(servers, 'r_opening_again', {
    schema: FAMILY,
    watch: opening.watch,
  })
  app = installation.app
  await copyAll(installation.context)
  assert.ok(opening.hasActed())
  assert.deepEqual(await states(installation), { c: 'live', g: 'live', other: 'live', p: 'live' })
  await assertEqual(installation, ['p', 'c', 'g', 'other'])
})

test('a copy restarted while the older one opens leaves nothing surplus in the target', async () => {
  let installation: Installation | undefined
  let armed = false
  const again = async (of: Installation): Promise<void> => {
    await dropTriggers(of.app, 'other')
    const jobs = new JobHandlers(unwatched(of).context)
    await jobs.maintain(NEVER_ABORTED)
    await jobs.planTable('other', NEVER_ABORTED)
    await jobs.copyChunk('other', 1, NEVER_ABORTED)
  }
  const watch = during({
    'opening:surplus': async () => {
      if (!armed || !installation) return
      armed = false
      await again(installation)
    },
  })
  await using opened = await createInstallation(servers, 'r_anew', { schema: FAMILY, watch })
  installation = opened
  await installation.app.query('INSERT INTO other VALUES (2, 2), (3, 3), (4, 4)')
  await copyAll(installation.context)
  await installation.app.query('TRUNCATE other; INSERT INTO other VALUES (2, 7)')
  armed = true
  await settle(installation)
  assert.equal(armed, false)
  assert.equal((await states(installation))['other'], 'live')
  await assertEqual(installation, ['other'])
})

test('triggers created during a copy without them force a new copy, not a live table', async () => {
  let installation: Installation | undefined
  const act = async ({ app, context }: Installation): Promise<void> => {
    await app.query('INSERT INTO other VALUES (2, 2); UPDATE c SET v = 9; DELETE FROM p WHERE id = 1')
    await setupTriggers(context, { tables: [], recreate: false, dryRun: false })
  }
  const opening = duringOpening(async () => installation && act(installation))
  await using opened = await createInstallation(servers, 'r_late', { schema: FAMILY, watch: opening.watch })
  installation = opened
  const request = { tables: [], createTables: true, resume: false, triggers: false, force: false, takeOver: false }
  await initial(installation.context, request, () => {}, new AbortController().signal)
  assert.ok(opening.hasActed())
  await settle(installation)
  assert.deepEqual(await states(installation), { c: 'live', g: 'live', other: 'live', p: 'live' })
  await assertEqual(installation, ['p', 'c', 'g', 'other'])
})

/** Saves triggers, drops them and restores them, as a person might. */
async function createStatements(app: Installation['app'], table: string): Promise<string[]> {
  const [triggers] = await app.query(
    'SELECT TRIGGER_NAME AS name, SQL_MODE AS mode FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() AND EVENT_OBJECT_TABLE = ?',
    [table],
  )
  const statements: string[] = []
  for (const { name, mode } of triggers as { name: string; mode: string }[]) {
    const [rows] = await app.query(`SHOW CREATE TRIGGER \`${name}\``)
    const [shown] = rows as { 'SQL Original Statement': string }[]
    assert.ok(shown)
    statements.push(`SET sql_mode = '${mode}'; ${shown['SQL Original Statement']}; SET sql_mode = DEFAULT`)
  }
  return statements
}

async function createdOf(app: Installation['app']): Promise<unknown> {
  const [rows] = await app.query(
    'SELECT TRIGGER_NAME, CREATED FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() ORDER BY 1',
  )
  return rows
}
