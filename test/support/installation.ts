import assert from 'node:assert/strict'
import type { Source, Target } from '@mylab-sync/core'
import { drain, drainAll, type DrainReport, type EngineContext, initial, loadModel, status } from '@mylab-sync/engine'
import type { ServerSet } from '@mylab-sync/testkit'
import { connect, OPTIONS, type Sides } from './connect.js'
import { textRows } from './content.js'
import { intercept, type Watch } from './intercept.js'

type Admin = Awaited<ReturnType<ServerSet['sourceAdmin']>>
type Reader = Awaited<ReturnType<ServerSet['targetOwner']>>

/** Signals of a job that is never stopped. */
export const NEVER_ABORTED: { readonly signal: AbortSignal; readonly yielding: AbortSignal } = {
  signal: new AbortController().signal,
  yielding: new AbortController().signal,
}

/** Two fresh databases of one name, with the product between them; `await using` closes every connection. */
export interface Installation extends AsyncDisposable {
  readonly context: EngineContext
  readonly source: Source
  readonly target: Target
  /** The application's connection. */
  readonly app: Admin
  /** The user's connection: it reads the target, and creates the user's own objects there. */
  readonly reader: Reader
  /** All rows of a query on the target, as text. */
  rows(query: string): Promise<(string | null)[][]>
}

export interface InstallationSettings {
  /** SQL that sets up the source's database. */
  readonly schema?: string
  /** Copies all of it before a test begins. */
  readonly copied?: boolean
  /** Called around every call that the context makes to either side. */
  readonly watch?: Watch
  readonly batchRows?: number | null
  /** For tests that kill servers: lost connections fail nothing, and no connection is closed gracefully. */
  readonly serversDie?: boolean
}

/** The only way to create an installation. */
export async function createInstallation(
  servers: ServerSet,
  name: string,
  settings: InstallationSettings = {},
): Promise<Installation> {
  await servers.createDatabases({ source: name, target: name })
  const app = await servers.sourceAdmin(name)
  const reader = await servers.targetOwner(name)
  const sides = await connect(servers, name)
  const { source, target } = sides
  const installation: Installation = {
    source,
    target,
    app,
    reader,
    context: {
      ...(settings.watch ? intercept({ source, target }, settings.watch) : { source, target }),
      options: { ...OPTIONS, batchRows: settings.batchRows ?? null },
    },
    rows: (query) => textRows(reader, query),
    async [Symbol.asyncDispose]() {
      await sides[Symbol.asyncDispose]()
      // A connection to a server that the test has ended cannot be closed in order.
      await (settings.serversDie ? reader.end().catch(() => {}) : reader.end())
      await (settings.serversDie ? app.destroy() : app.end())
    },
  }
  try {
    if (settings.schema !== undefined) await app.query(settings.schema)
    if (settings.copied) await copyAll(installation.context)
  } catch (error) {
    await installation[Symbol.asyncDispose]()
    throw error
  }
  return installation
}

/** The same databases over other connections: another account's, or another process's. */
export function overSides(installation: Installation, { source, target }: Sides): Installation {
  return { ...installation, source, target, context: { ...installation.context, source, target } }
}

/** The same installation without its watch. */
export function unwatched(installation: Installation): Installation {
  return overSides(installation, installation)
}

/** Copies the selected tables to the end. */
export async function copyAll(context: EngineContext, tables: readonly string[] = []): ReturnType<typeof initial> {
  const request = { tables, createTables: true, resume: false, triggers: true, force: false, takeOver: false }
  return initial(context, request, () => {}, new AbortController().signal)
}

/** Drains everything pending, does control work, and drains what that made pending. */
export function settle({ context }: Installation): Promise<unknown> {
  return drainAll(context, new AbortController().signal)
}

export async function drainNow({ context }: Installation): Promise<DrainReport> {
  return drain(context, await loadModel(context))
}

export async function states({ context }: Installation): Promise<Record<string, string>> {
  return Object.fromEntries((await status(context)).tables.map((table) => [table.table, table.state]))
}

/** The problem that the status reports for the table; '' if there is none. */
export async function problemOf({ context }: Installation, table: string): Promise<string> {
  return (await status(context)).tables.find((row) => row.table === table)?.problem ?? ''
}

/** Asserts that both sides hold the same rows in these tables. */
export async function assertEqual(installation: Installation, tables: readonly string[]): Promise<void> {
  for (const table of tables) {
    const query = `SELECT * FROM ${table} ORDER BY 1, 2`
    assert.deepEqual(await installation.rows(query), await textRows(installation.app, query), table)
  }
}
