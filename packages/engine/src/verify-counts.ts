import { isOpen } from '@mylab-sync/core'
import type { EngineContext } from './context.js'
import { drain } from './drain.js'
import { loadModel } from './model.js'

export interface CountsReport {
  readonly equal: boolean
  readonly tables: readonly {
    readonly table: string
    readonly source: number
    readonly target: number
    readonly equal: boolean
  }[]
}

const DRAIN_WAIT_MS = 120_000

/**
 * Exact row counts of both sides at one moment: inside a drain, its own source snapshot against its target transaction
 * before the commit. Quarantined rows, which are listed elsewhere, may be missing in the target.
 */
export async function verifyCounts(context: EngineContext, patterns: readonly string[]): Promise<CountsReport> {
  const model = await loadModel(context)
  const tables: { table: string; source: number; target: number; equal: boolean }[] = []
  await drain(context, model, {
    waitMs: DRAIN_WAIT_MS,
    beforeCommit: async ({ snapshot, target }) => {
      tables.length = 0
      const states = await target.progress()
      const quarantined = await target.countQuarantined()
      for (const table of model.select(patterns)) {
        const state = states.get(table)?.state
        if (!state || !(isOpen(state) || state === 'copied')) continue
        const source = await snapshot.countRows(table)
        const held = await target.countRows(model.mapping(table))
        const absent = quarantined.get(table) ?? 0
        tables.push({ table, source, target: held, equal: held <= source && held >= source - absent })
      }
    },
  })
  // that nothing differs because nothing is there would be the wrong answer to the question
  return { equal: tables.length > 0 && tables.every((table) => table.equal), tables }
}
