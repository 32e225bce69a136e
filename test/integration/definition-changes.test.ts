import assert from 'node:assert/strict'
import { test } from 'node:test'
import { status, type StatusReport } from '@mylab-sync/engine'
import { eventually, sharedServers } from '@mylab-sync/testkit'
import { startDaemon } from '../support/daemon.js'
import { connect } from '../support/connect.js'
import { textRows } from '../support/content.js'
import { changesByAlgorithm, type DefinitionChange, statementsOf } from '../support/definition-changes.js'
import { copyAll, createInstallation, type Installation, overSides, settle } from '../support/installation.js'
import type { PortCall, Watch } from '../support/intercept.js'
import { during, tableOf } from '../support/moments.js'

const DEADLINE_MS = 300_000
/** Longer than a daemon takes between two looks at definitions. */
const LOOKED_MS = 5_000
/** Daemons that run side by side, each with a database of its own. */
const LANES = 6
/** One in this many changes is made while a daemon sees it alone. Each mode takes its own share; DEFINITIONS=all takes all in each. */
const SHARE_ALONE = 12

const servers = await sharedServers()

interface Scene {
  readonly name: string
  readonly change: DefinitionChange
  readonly statements: readonly string[]
}

/** Creates the tables of these changes with their rows; omits changes whose tables this server cannot create. */
async function build(installation: Installation, changes: ReturnType<typeof changesByAlgorithm>): Promise<Scene[]> {
  const scenes: Scene[] = []
  for (const [index, change] of changes.entries()) {
    const name = `d${String(index).padStart(3, '0')}`
    const { schema, statements } = statementsOf(change, name)
    try {
      await installation.app.query(schema)
      scenes.push({ name, change, statements })
    } catch {
      await installation.app.query(`DROP TABLE IF EXISTS ${name}, ${name}_u`)
    }
  }
  return scenes
}

/** The changes that the server accepts; one that it refused in part counts with the part that it made. */
async function apply(installation: Installation, { statements }: Scene): Promise<boolean> {
  let done = 0
  for (const statement of statements) {
    try {
      await installation.app.query(statement)
      done++
    } catch (error) {
      assert.ok((error as { errno?: number }).errno, statement)
    }
  }
  return done > 0
}

const isOpen = (state: string | undefined): boolean => state === 'live' || state === 'recopied'

/** One spelling for both sides: numbers as a FLOAT holds them, a moment without the zeros of its fraction, bytes as what they are. */
function plain(value: string | null): string | null {
  if (value?.startsWith('\\x')) return Buffer.from(value.slice(2), 'hex').toString('latin1').replace(/\0+$/, '')
  if (value?.startsWith('{')) return value.slice(1, -1)
  if (value !== null && /^-?\d+(\.\d+)?$/.test(value)) return String(Math.fround(Number(value)))
  return value?.replace(/(\d\d:\d\d:\d\d)(?:(\.\d*[1-9])0*|\.0*)?(\+00)?$/, '$1$2').replace(/\0+$/, '') ?? null
}

async function contentOf(installation: Installation, side: 'source' | 'target', table: string): Promise<string[]> {
  const columns = await textRows(
    installation.app,
    `SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '${table}' ORDER BY 1`,
  )
  const shown = ([name, type]: (string | null)[]): string => {
    if (side === 'target') return `"${name}"`
    return type === 'bit' ? `BIN(\`${name}\` + 0)` : `\`${name}\``
  }
  const list = columns.map(shown).join(', ')
  const query = `SELECT ${list} FROM ${side === 'source' ? `\`${table}\`` : `"${table}"`}`
  const rows = side === 'source' ? await textRows(installation.app, query) : await installation.rows(query)
  return rows.map((row) => JSON.stringify(row.map(plain))).sort()
}

async function isTable(installation: Installation, table: string): Promise<boolean> {
  const found = await textRows(
    installation.app,
    `SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '${table}' AND TABLE_TYPE <> 'VIEW'`,
  )
  return found.length > 0
}

/** Null once the table is right: equal, or named as not live with statements that help. */
async function wrong(installation: Installation, { name }: Scene, now: StatusReport): Promise<string | null> {
  const known = now.tables.find((each) => each.table === name)
  if (!(await isTable(installation, name))) return isOpen(known?.state) ? `is ${known?.state} without a table` : null
  if (!isOpen(known?.state)) {
    const problem = known?.problem ?? ''
    return /^waits for: |cannot|no rule|server says|discard/i.test(problem) ? null : `is ${known?.state}: ${problem}`
  }
  const [source, target] = [
    await contentOf(installation, 'source', name),
    await contentOf(installation, 'target', name),
  ]
  return JSON.stringify(source) === JSON.stringify(target) ? null : `${source.join(' ')} | ${target.join(' ')}`
}

async function allWrong(installation: Installation, scenes: readonly Scene[]): Promise<string[]> {
  const now = await status(installation.context)
  const found: string[] = []
  for (const scene of scenes) {
    const fault = await wrong(installation, scene, now).catch((error: unknown) => String(error))
    if (fault !== null) found.push(`${scene.name}: ${scene.statements.join('; ')}: ${fault}`)
  }
  return found
}

/** Tables that wait for a person are equal once the named statements have run. */
async function doAsTold(installation: Installation, scenes: readonly Scene[]): Promise<number> {
  const waiting = (await status(installation.context)).tables.filter(({ problem }) =>
    problem?.startsWith('waits for: '),
  )
  for (const { problem } of waiting) await installation.reader.query((problem ?? '').slice('waits for: '.length))
  if (waiting.length > 0) await settle(installation)
  assert.deepEqual(await allWrong(installation, scenes), [])
  const still = (await status(installation.context)).tables.filter(({ problem }) => problem?.startsWith('waits for: '))
  assert.deepEqual(still, [])
  return waiting.length
}

async function settled(installation: Installation, scenes: readonly Scene[]): Promise<void> {
  let last: string[] = []
  await eventually(
    'all tables are equal or named',
    async () => (last = await allWrong(installation, scenes)).length === 0,
    DEADLINE_MS,
  ).catch(() => assert.deepEqual(last, []))
}

interface ChangingInstallation extends Installation {
  readonly scenes: Scene[]
}

async function createChanging(
  name: string,
  { changes, watch }: { readonly changes: ReturnType<typeof changesByAlgorithm>; readonly watch?: Watch },
): Promise<ChangingInstallation> {
  const installation = await createInstallation(servers, name, watch ? { watch } : {})
  return { ...installation, scenes: await build(installation, changes) }
}

test('every definition change is followed by a running daemon', async () => {
  await using installation = await createChanging('changes_live', { changes: changesByAlgorithm(2, 0) })
  const { scenes } = installation
  await copyAll(installation.context)
  let tried = 0
  await using daemon = startDaemon(installation.context, 60_000)
  for (const scene of scenes) if (await apply(installation, scene)) tried++
  await settled(installation, scenes)
  await daemon.stop()
  const waited = await doAsTold(installation, scenes)
  process.stderr.write(`${tried} changes beside a running daemon, ${waited} waited for a person\n`)
})

test('every definition change is followed by the next call after it', async () => {
  await using installation = await createChanging('changes_later', { changes: changesByAlgorithm(2, 1) })
  const { scenes } = installation
  await copyAll(installation.context)
  for (const scene of scenes) await apply(installation, scene)
  await settle(installation)
  await settle(installation)
  assert.deepEqual(await allWrong(installation, scenes), [])
  await doAsTold(installation, scenes)
})

test('every definition change is followed without the PROCESS right too', async () => {
  const account = { user: 'unprocessed', password: 'x' }
  await using installation = await createChanging('changes_blind', { changes: changesByAlgorithm(4, 1) })
  const { scenes } = installation
  await installation.app.query(`CREATE USER unprocessed@'%' IDENTIFIED BY 'x';
      GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, TRIGGER ON changes_blind.* TO unprocessed@'%'`)
  await using sides = await connect(servers, 'changes_blind', account)
  const blind = overSides(installation, sides)
  try {
    assert.equal(await blind.source.catalog.seesStorage(), false)
    await copyAll(blind.context)
    for (const scene of scenes) await apply(blind, scene)
    await settle(blind)
    await settle(blind)
    assert.deepEqual(await allWrong(blind, scenes), [])
  } finally {
    await installation.app.query("DROP USER unprocessed@'%'")
  }
})

test('every definition change in the middle of a first copy is followed', async () => {
  const running: Promise<unknown>[] = []
  const waiting = new Map<string, Scene>()
  let other: Installation | undefined
  const afterRead = async (call: PortCall): Promise<void> => {
    const table = tableOf(call)
    const scene = waiting.get(table)
    if (!scene || !other) return
    waiting.delete(table)
    // The ALTER waits for the read that it interrupts.
    running.push(apply(other, scene))
  }
  await using installation = await createChanging('changes_copy', {
    changes: changesByAlgorithm(4, 3),
    watch: during({ 'chunk:read': afterRead }),
  })
  const { scenes } = installation
  other = installation
  for (const scene of scenes) waiting.set(scene.name, scene)
  await copyAll(installation.context)
  await Promise.all(running)
  await settle(installation)
  await settle(installation)
  assert.deepEqual(await allWrong(installation, scenes), [])
  await doAsTold(installation, scenes)
  assert.ok(running.length > scenes.length / 2, `${running.length} of ${scenes.length} in the middle of a copy`)
})

test('a change that touches no value keeps its table live and is followed', async () => {
  await using installation = await createInstallation(servers, 'changes_benign')
  const copies = (): Promise<(string | null)[][]> =>
    installation.rows('SELECT table_name, copy_no, state FROM mylab_sync.sync_progress ORDER BY 1')
  await installation.app.query('CREATE TABLE t (id INT PRIMARY KEY, v INT); CREATE TABLE u (id INT PRIMARY KEY, v INT)')
  await copyAll(installation.context)
  const before = await copies()
  await using daemon = startDaemon(installation.context, 60_000)
  // A look after the second in which the tables were created.
  const since = Date.now() + LOOKED_MS
  await eventually(
    'the daemon has looked at the tables',
    async () => Date.parse((await status(installation.context)).consistentAsOf ?? '') > since,
    DEADLINE_MS,
  )
  await installation.app.query("ALTER TABLE t ADD INDEX q (v), COMMENT = 'x'; ALTER TABLE u ALTER v SET DEFAULT 4")
  await eventually(
    'the index is in the target',
    async () => (await installation.rows("SELECT 1 FROM pg_indexes WHERE indexname = 't_q'")).length > 0,
    DEADLINE_MS,
  )
  await daemon.stop()
  assert.deepEqual(await copies(), before)
})

test('a daemon notices a change without activity in any other table', async () => {
  const changes = changesByAlgorithm(SHARE_ALONE, 0)
  const lane = async (number: number): Promise<void> => {
    for (let at = number; at < changes.length; at += LANES) {
      const change = changes[at]
      if (!change) continue
      await using installation = await createChanging(`alone_${at}`, { changes: [change] })
      const { scenes } = installation
      await copyAll(installation.context)
      await using daemon = startDaemon(installation.context, 60_000)
      for (const scene of scenes) await apply(installation, scene)
      await settled(installation, scenes)
      await daemon.stop()
    }
  }
  await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)))
})
