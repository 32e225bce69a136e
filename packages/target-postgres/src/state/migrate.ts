import { SyncError } from '@mylab-sync/core'
import { readdirSync, readFileSync } from 'node:fs'
import type { Database } from '../connection/database.js'
import * as sql from '../sql.js'

const FOLDER = new URL('../../migrations/', import.meta.url)

/** Numbered migrations that only expand; a state newer than this program is refused. */
export async function migrate(database: Database): Promise<void> {
  const files = readdirSync(FOLDER)
    .filter((file) => file.endsWith('.sql'))
    .sort()
  const schema = sql.name(database.settings.stateSchema)
  await database.transaction(async (session) => {
    await session.raw('SELECT pg_advisory_xact_lock(hashtext($1))', [
      `mylab-sync migrate ${database.settings.stateSchema}`,
    ])
    await session.raw(`CREATE SCHEMA IF NOT EXISTS ${schema}`)
    await session.raw(`CREATE SCHEMA IF NOT EXISTS ${sql.name(database.settings.schema)}`)
    await session.raw(
      `CREATE TABLE IF NOT EXISTS ${schema}.sync_schema_version (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`,
    )
    const { rows } = await session.raw<{ version: number }>(`SELECT version FROM ${schema}.sync_schema_version`)
    const applied = new Set(rows.map((row) => row.version))
    if (Math.max(0, ...applied) > files.length) {
      throw new SyncError(
        'not-migrated',
        `target: the state in schema ${database.settings.stateSchema} is newer than this program`,
        { remedy: 'use the newer program' },
      )
    }
    await session.raw(`SET LOCAL search_path = ${schema}`)
    for (const [at, file] of files.entries()) {
      if (applied.has(at + 1)) continue
      await session.raw(readFileSync(new URL(file, FOLDER), 'utf8'))
      await session.raw(`INSERT INTO sync_schema_version (version) VALUES (${at + 1})`)
    }
  })
}

export async function migrated(database: Database): Promise<boolean> {
  return database.transaction(async (session) => {
    const { rows } = await session.raw<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
      `${sql.name(database.settings.stateSchema)}.sync_drain`,
    ])
    return rows[0]?.there ?? false
  })
}
