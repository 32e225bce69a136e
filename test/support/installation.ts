import type { Source, Target } from '@mylab-sync/core'
import { type EngineContext, type EngineHooks, initial } from '@mylab-sync/engine'
import { defaultMappingOptions } from '@mylab-sync/mapping'
import type { ServerSet } from '@mylab-sync/testkit'
import { connect } from './connect.js'
import { textRows } from './content.js'

type Admin = Awaited<ReturnType<ServerSet['sourceAdmin']>>
type Reader = Awaited<ReturnType<ServerSet['targetAdmin']>>

/** Both databases of one name, fresh, with the product between them; `close` ends every connection. */
export interface Installation {
  readonly context: EngineContext
  readonly source: Source
  readonly target: Target
  /** The application's own connection. */
  readonly app: Admin
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
  const reader = await servers.targetAdmin(name)
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
export async function copyAll(context: EngineContext, tables: readonly string[] = []): Promise<void> {
  const request = { tables, createTables: true, resume: false, triggers: true, force: false, takeOver: false }
  await initial(context, request, () => {}, new AbortController().signal)
}
