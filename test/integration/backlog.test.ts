import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drain, type DrainReport, loadModel } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { assertEqual, copyAll, createInstallation, type Installation, settle, states } from '../support/installation.js'
import { importMutant } from '../support/mutants.js'
import { inSlices, isRight, SCENES } from './backlog-scenes.js'

const servers = await sharedServers()
const SCENES_MODULE = import.meta.resolve('./backlog-scenes.js')

for (const [number, scene] of SCENES.entries()) {
  test(`a backlog needs the orphan scan to be right: ${scene.what}`, async () => {
    assert.equal(await isRight(servers, scene, `backlog_${number}_with`), true)
    const without = await importMutant<typeof import('./backlog-scenes.js')>('orphan-scan', SCENES_MODULE)
    assert.equal(await without.isRight(servers, scene, `backlog_${number}_without`), false)
  })
}

/** Two entries of a table of its own, so that the backlog has two snapshots; what happens between them has no entry. */
async function backlogAround(installation: Installation, statements: string): Promise<DrainReport> {
  await installation.app.query(`
    CREATE TABLE busy (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
    CREATE TABLE still (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
    INSERT INTO busy VALUES (1, 0), (2, 0); INSERT INTO still VALUES (1, 1), (2, 2)`)
  await copyAll(installation.context)
  await installation.app.query('UPDATE busy SET v = 1')
  return await drain(inSlices(installation, statements), await loadModel(installation.context))
}

test('a table emptied between two backlog snapshots is not live at commit, but heals', async () => {
  await using installation = await createInstallation(servers, 'backlog_truncate')
  const report = await backlogAround(installation, 'TRUNCATE still; INSERT INTO still VALUES (3, 3)')
  assert.ok(report.kind === 'done')
  assert.deepEqual(
    report.setAside.map(({ table }) => table),
    ['still'],
  )
  assert.deepEqual(await states(installation), { busy: 'live', still: 'suspect' })
  await assertEqual(installation, ['busy'])
  await settle(installation)
  assert.deepEqual(await states(installation), { busy: 'live', still: 'live' })
  await assertEqual(installation, ['busy', 'still'])
})

test('a table dropped between two snapshots of a backlog is marked as gone', async () => {
  await using installation = await createInstallation(servers, 'backlog_drop')
  await backlogAround(installation, 'DROP TABLE still')
  await settle(installation)
  assert.deepEqual(await states(installation), { busy: 'live', still: 'gone' })
})
