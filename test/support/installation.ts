import assert from 'node:assert/strict'
import type { Source, Target } from '@mylab-sync/core'
import {
  drain,
  drainAll,
  type DrainReport,
  type EngineContext,
  type EngineHooks,
  initial,
  loadModel,
  status,
} from '@mylab-sync/engine'
import { defaultMappingOptions } from '@mylab-sync/mapping'
import type { ServerSet } from '@mylab-sync/testkit'
import { connect } from './connect.js'
import { textRows } from './content.js'

type Admin = Awaited<ReturnType<ServerSet['sourceAdmin']>>
type Reader = Awaited<ReturnType<ServerSet['targetOwner']>>

/** The signals of a job that nobody stops. */
export const AT_WORK: { readonly signal: AbortSignal; readonly yielding: AbortSignal } = {
  signal: new AbortController().signal,
  yielding: new AbortController().signal,
}

/** Both databases of one name, fresh, with the product between them; `close` ends every connection. */
export interface Installation {
  readonly context: EngineContext
  readonly source: Source
  readonly target: Target
  /** The application's own connection. */
  readonly app: Admin
  /** The user's own: it looks, and makes what the user has there. */
  readonly reader: Reader
  /** All rows of a query on the target, as text. */
  rows(query: string): Promise<(string | null)[][]>
  close(): Promise<void>
}

export async function installation(
  servers: ServerSet,
  name: string,
  settings: { readonly hooks?: EngineHooks; readonly batchRows?: number | null } = {},
): Promise<Installation> {
  await servers.createDatabases({ source: name, target: name })
  const app = await servers.sourceAdmin(name)
  const reader = await servers.targetOwner(name)
  const { source, target } = await connect(servers, name)
  return {
    source,
    target,
    app,
    reader,
    context: {
      source,
      target,
      ...(settings.hooks ? { hooks: settings.hooks } : {}),
      options: {
        include: ['*'],
        exclude: [],
        mapping: defaultMappingOptions,
        batchRows: settings.batchRows ?? null,
        copyConcurrency: 2,
        memoryMb: 256,
        schemaChanges: 'apply',
      },
    },
    rows: (query) => textRows(reader, query),
    async close() {
      await source.close()
      await target.close()
      await reader.end()
      await app.end()
    },
  }
}

/** Copies everything that is selected, to its end. */
export async function copyAll(context: EngineContext, tables: readonly string[] = []): ReturnType<typeof initial> {
  const request = { tables, createTables: true, resume: false, triggers: true, force: false, takeOver: false }
  return initial(context, request, () => {}, new AbortController().signal)
}

/** An installation whose source has this schema, all of it copied, for as long as `use` takes. */
export async function withCopied(
  servers: ServerSet,
  { name, schema }: { readonly name: string; readonly schema: string },
  use: (at: Installation) => Promise<void>,
): Promise<void> {
  const at = await installation(servers, name)
  try {
    await at.app.query(schema)
    await copyAll(at.context)
    await use(at)
  } finally {
    await at.close()
  }
}

/** Everything pending, control work, and what it made pending. */
export function settle({ context }: Installation): Promise<unknown> {
  return drainAll(context, new AbortController().signal)
}

export async function drainNow({ context }: Installation): Promise<DrainReport> {
  return drain(context, await loadModel(context))
}

export async function states({ context }: Installation): Promise<Record<string, string>> {
  return Object.fromEntries((await status(context)).tables.map((table) => [table.table, table.state]))
}

/** Every row of these tables, on both sides. */
export async function assertEqual(at: Installation, tables: readonly string[]): Promise<void> {
  for (const table of tables) {
    const query = `SELECT * FROM ${table} ORDER BY 1, 2`
    assert.deepEqual(await at.rows(query), await textRows(at.app, query), table)
  }
}
