import { ConstraintViolated } from '@mylab-sync/core'
import type { Pass } from './pass.js'

/**
 * Throws ConstraintViolated if rows of the snapshot itself violate a constraint. Target rows of quarantined keys may be
 * out of date, so they are deleted once per table before a violation is believed.
 */
export async function checkConstraints({ model, target }: Pick<Pass, 'model' | 'target'>): Promise<void> {
  for (const cleared = new Set<string>(); ; ) {
    try {
      return await target.checkConstraints()
    } catch (error) {
      if (!(error instanceof ConstraintViolated) || cleared.has(error.table)) throw error
      cleared.add(error.table)
      // The one key of a table without a key is not a row's.
      const stale = (await target.quarantine.all()).filter(
        ({ table }) => model.tables.get(table)?.name === error.table && !model.isFullTable(table),
      )
      const [first] = stale
      if (!first) throw error
      const keys = stale.map((key) => key.key)
      await target.rows.delete(model.mapping(first.table), keys)
    }
  }
}
