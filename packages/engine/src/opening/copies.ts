import { isBeingOpened, type TargetTransaction } from '@mylab-sync/core'

/**
 * Tables with the number of the copy to be opened. Preparing takes minutes if millions of rows are surplus; meanwhile a
 * table may be set aside and copied again, which discards the keys parked for the old copy.
 */
export type Copies = ReadonlyMap<string, number>

/**
 * Locks the progress rows of these tables and returns whether these very copies are still to be opened. Checked under the
 * lock: a late opener would close what another one opened, or write rows of an older snapshot beside the drains.
 */
export async function lockUnopened(target: TargetTransaction, copies: Copies): Promise<boolean> {
  if (!(await target.tables.lock([...copies.keys()]))) return false
  const progress = await target.tables.all()
  return [...copies].every(([table, number]) => {
    const now = progress.get(table)
    return now !== undefined && isBeingOpened(now.state) && now.copyNumber === number
  })
}
