import { type CutoverTransaction, type TableMapping, type Target, type TargetTransaction } from '@mylab-sync/core'
import { Cutover } from './cutover/cutover.js'
import { requireFollowing } from './cutover/phase.js'
import { Switch } from './cutover/switch.js'
import { KnownTables } from './rows/known-tables.js'
import { Transaction } from './transaction.js'
import { Database, type Session, type TargetSettings } from './connection/database.js'
import { adaptTable } from './ddl/adapt.js'
import { MadeControl } from './ddl/control.js'
import { manyTables } from './ddl/many-tables.js'
import { Ddl } from './ddl/ddl.js'
import { Checks } from './ddl/checks.js'
import { KeyIndexes } from './ddl/key-indexes.js'
import { SecondaryIndexes } from './ddl/secondary-indexes.js'
import { setCounter } from './ddl/set-counter.js'
import { Suspension } from './ddl/suspension.js'
import { differences, existingTables, hasRows } from './ddl/tables.js'
import { definitionStatements } from './ddl/statements.js'
import { unbuilt } from './ddl/unbuilt.js'
import { mapped } from './errors.js'
import { clockAheadMs, preflight } from './preflight/preflight.js'
import { lockFault, lockHolder, tryLock, waitForLock } from './state/locks.js'
import { migrate, migrated } from './state/migrate.js'
import { leftInState, requireUninstallRights, uninstallStatements } from './state/uninstall.js'

/** Connects. Throws SyncError cannot-connect at once if it cannot. */
export async function createTarget(settings: TargetSettings): Promise<Target> {
  const database = new Database(settings)
  try {
    await database.open()
  } catch (error) {
    await database.close()
    throw error
  }
  const ddl = new Ddl(database)
  const keys = new KeyIndexes(ddl)
  const indexes = new SecondaryIndexes(ddl)
  const checks = new Checks(ddl)
  const suspension = new Suspension(ddl)
  const control = new MadeControl(ddl)
  const known = new KnownTables(database)
  const on = async <T>(table: TableMapping, work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      throw await known.explain(table, error)
    }
  }
  const many = manyTables(ddl, on)
  return {
    tables: {
      carries: (tables) => {
        known.carried = tables.map(({ name }) => name)
      },
      hindrances: (tables) => known.look(tables),
      existing: (tables) => existingTables(database, tables),
      hasRows: (table) => on(table, hasRows(database, table)),
      differences: (table) => differences(database, table),
      create: many.create,
      adapt: (table, objects, how) => on(table, adaptTable(database, table, objects, how)),
      loosen: (table, objects, edges) => on(table, suspension.loosenTable(table, objects, edges)),
      finish: (table, objects) => on(table, control.finish(table, objects)),
      statements: (definitions) => definitionStatements(settings.schema, definitions),
    },
    constraints: {
      buildKey: (table, how) => on(table, keys.buildKey(table, how)),
      buildKeyIndexes: many.buildKeyIndexes,
      buildIndexes: (table, objects) => on(table, indexes.buildIndexes(table, objects)),
      buildChecks: (table, objects) => on(table, checks.buildChecks(table, objects)),
      buildForeignKeys: many.buildForeignKeys,
      suspend: (violated, planned) => suspension.suspend(violated, planned),
      forget: (table, planned) => ddl.log.forgetUnplanned(table, planned),
      unbuilt: (definitions) => unbuilt(ddl, definitions),
      all: () => ddl.log.all(),
      leftOutIndexes: () => control.leftOutIndexes(),
    },
    created: {
      due: (definitions) => control.due(definitions),
      drop: (outdated) => control.drop(outdated),
      adopt: (definition) => control.adopt(definition),
      setCounter: (table, objects, request) => setCounter(ddl, table, objects, request),
    },
    cutover: new Cutover(ddl, (waitMs) => beginSwitch(database, waitMs)),
    admin: adminOf(database),
    ...beginnings(database, known),
    lockHolder: (work) => lockHolder(database, work),
    close: () => database.close(),
  }
}

function adminOf(database: Database): Target['admin'] {
  return {
    version: () => serverVersion(database),
    migrate: () => migrate(database),
    migrated: () => migrated(database),
    uninstallStatements: () => uninstallStatements(database),
    leftInState: () => leftInState(database),
    requireUninstallRights: () => requireUninstallRights(database),
    run: (statements) =>
      database.transaction(async (session) => {
        for (const statement of statements) await session.raw(statement)
      }),
    preflight: (tables) => preflight(database, tables),
    clockAheadMs: () => clockAheadMs(database),
  }
}

async function serverVersion(database: Database): Promise<string> {
  const [row] = await database.transaction((session) =>
    session.rows<{ version: string }>("SELECT current_setting('server_version') AS version"),
  )
  return `PostgreSQL ${row?.version ?? ''}`
}

function beginnings(
  database: Database,
  known: KnownTables,
): Pick<Target, 'begin' | 'beginDrain' | 'beginSnapshot' | 'beginExclusive'> {
  function beginDrain(): Promise<TargetTransaction | null>
  function beginDrain(how: { readonly waitMs: number }): Promise<TargetTransaction>
  function beginDrain(how?: { readonly waitMs: number }): Promise<TargetTransaction | null> {
    if (how !== undefined) return beginDrainWaiting(database, known, how.waitMs)
    return beginLocked(database, known, { work: 'drain', extra: [] })
  }
  return {
    begin: (options) =>
      opened(database, known, (session) =>
        session.begin(options?.asynchronousCommit ? ['SET LOCAL synchronous_commit = off'] : []),
      ),
    beginDrain,
    beginSnapshot: () =>
      opened(database, known, (session) => session.begin(['SET TRANSACTION ISOLATION LEVEL REPEATABLE READ'])),
    beginExclusive: (work) =>
      beginLocked(database, known, { work, extra: ['SET LOCAL idle_in_transaction_session_timeout = 0'] }),
  }
}

/** A transaction begun by `start`. If that fails, the session is rolled back and released. */
async function opened(
  database: Database,
  known: KnownTables,
  start: (session: Session) => Promise<unknown>,
): Promise<Transaction> {
  const session = await database.session()
  const transaction = new Transaction(session, database.settings, known)
  try {
    await start(session)
    return transaction
  } catch (error) {
    await transaction[Symbol.asyncDispose]()
    throw mapped(error)
  }
}

/** Returns null at once if another process holds the lock. */
async function beginLocked(
  database: Database,
  known: KnownTables,
  { work, extra }: { readonly work: string; readonly extra: readonly string[] },
): Promise<TargetTransaction | null> {
  let got = false
  const transaction = await opened(database, known, async (session) => {
    await session.begin(extra)
    got = await tryLock(session, database, work)
    if (got) await requireFollowing(session, database.settings.stateSchema)
  })
  if (got) return transaction
  await transaction[Symbol.asyncDispose]()
  return null
}

async function beginDrainWaiting(
  database: Database,
  known: KnownTables,
  deadlineMs: number,
): Promise<TargetTransaction> {
  return explained(database, (lock) =>
    opened(database, known, async (session) => {
      await lock(session, deadlineMs)
      await requireFollowing(session, database.settings.stateSchema)
    }),
  )
}

/** The switch of a cutover, whatever the phase. */
async function beginSwitch(database: Database, deadlineMs: number): Promise<CutoverTransaction> {
  return explained(database, async (lock) => {
    const session = await database.session()
    const transaction = new Switch(database, session)
    try {
      await lock(session, deadlineMs)
      return transaction
    } catch (error) {
      await transaction[Symbol.asyncDispose]()
      throw mapped(error)
    }
  })
}

type WaitForDrains = (session: Session, deadlineMs: number) => Promise<void>

/** Names the holder of the drain lock if `begin` times out waiting for it. */
async function explained<T>(database: Database, begin: (lock: WaitForDrains) => Promise<T>): Promise<T> {
  let failure: unknown
  try {
    return await begin(async (session, deadlineMs) => {
      await session.begin([`SET LOCAL lock_timeout = ${Math.max(1, Math.floor(deadlineMs))}`])
      await waitForLock(session, database, 'drain').catch((error: unknown) => {
        failure = error
        throw error
      })
      await session.raw("SET LOCAL lock_timeout = '5s'")
    })
  } catch (error) {
    throw failure === undefined ? error : await lockFault(database, failure)
  }
}
