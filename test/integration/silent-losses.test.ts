import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drainAll, status } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { connect, OPTIONS } from '../support/connect.js'
import { type Installation, NEVER_ABORTED } from '../support/installation.js'
import { importMutant } from '../support/mutants.js'
import { isSame, LOSSES, losing, repairAll, type Rule } from './silent-losses.js'

const servers = await sharedServers()
const MODULE = import.meta.resolve('./silent-losses.js')
const RULES = Object.keys(LOSSES) as Rule[]

type Mutant = typeof import('./silent-losses.js')

/** How the rows are repaired: without the mutant only where the rule itself keeps the repair from the row. */
const REPAIRS: Readonly<Record<Rule, (mutant: Mutant, installation: Installation, name: string) => Promise<void>>> = {
  // A drain that finds a row by no form of its key takes it for deleted, again.
  'look-up-form': async (_mutant, _installation, name) => {
    await using whole = await connect(servers, name)
    assert.equal(await repairAll({ context: { source: whole.source, target: whole.target, options: OPTIONS } }), 0)
  },
  'cut-token': async (mutant, installation) => assert.equal(await mutant.repairAll(installation), 0),
  'generation-expressions': async (mutant, installation) =>
    assert.equal(await mutant.repairByItself(installation), LOSSES['generation-expressions']().lost.length),
  'target-triggers': async (mutant, installation) => {
    // The trigger keeps the repair from its table, too, and the repair says so.
    assert.equal(await mutant.repairAll(installation), 3)
    await installation.reader.query(LOSSES['target-triggers']().disarm ?? '')
    assert.equal(await mutant.repairAll(installation), 0)
  },
}

for (const rule of RULES) {
  test(`without ${rule} verification finds and repairs a silent loss`, async () => {
    const mutant = await importMutant<Mutant>(rule, MODULE)
    const loss = LOSSES[rule](servers.isMysql)
    const name = rule.replaceAll('-', '_')
    await using installation = await mutant.losing(servers, name, loss)
    assert.deepEqual(await mutant.lose(installation, loss), loss.lost)
    await REPAIRS[rule](mutant, installation, name)
    assert.deepEqual((await status(installation.context)).problems, [])
    assert.ok(await isSame(installation, loss.rows))
  })
}

test('with all rules none of the same changes is lost in silence', async () => {
  const losses = RULES.map((rule) => LOSSES[rule](servers.isMysql))
  const schema = losses.map((loss) => loss.schema).join(';')
  await using installation = await losing(servers, 'none_lost', { schema })
  const { app, context, reader } = installation
  for (const { arm, change } of losses) {
    if (arm !== undefined) await reader.query(arm)
    await app.query(change)
  }
  await drainAll(context, NEVER_ABORTED.signal)
  const { problems, tables } = await status(context)
  const closed = tables.filter(({ state }) => state !== 'live').map(({ table, state }) => [table, state])
  assert.deepEqual(closed, [['altered', 'broken']])
  assert.deepEqual(
    problems.map(({ table }) => table),
    ['altered'],
  )
  for (const { rows } of losses) assert.ok(await isSame(installation, rows.replace(/^.* altered UNION ALL /, '')), rows)
})
