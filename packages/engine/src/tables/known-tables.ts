import { SyncError } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { matcherOf } from '../model/selection.js'
import { readTarget } from '../transactions.js'

/**
 * Requires that each pattern matches a table of the source database, or one that this installation knows, including tables
 * that no longer exist. Throws SyncError usage otherwise, so a typing error never yields an empty answer.
 */
export async function requireTables(
  context: EngineContext,
  patterns: readonly string[],
  from: 'source' | 'installation',
): Promise<void> {
  if (patterns.length === 0) return
  const names = from === 'source' ? await sourceTables(context) : await knownTables(context)
  for (const pattern of patterns) {
    if (names.some(matcherOf([pattern]))) continue
    const where = from === 'source' ? 'the source database' : 'this installation'
    throw new SyncError('usage', `--table: no table of ${where} matches ${pattern}`, {
      remedy: from === 'source' ? 'mylab-sync plan shows all tables' : 'mylab-sync status shows all tables',
    })
  }
}

async function sourceTables({ source }: EngineContext): Promise<string[]> {
  return (await source.catalog.read()).tables.map(({ name }) => name)
}

async function knownTables(context: EngineContext): Promise<string[]> {
  return [...(await readTarget(context, (target) => target.tables.all())).keys()]
}
