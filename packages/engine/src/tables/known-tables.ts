import { SyncError } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { matcherOf } from '../model/selection.js'
import { readTarget } from '../transactions.js'

/**
 * Where names come from: the tables of the source database, or those that this installation knows of, gone ones
 * included. Throws SyncError usage for a pattern that no name matches, so that a typing error is not an empty answer.
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
