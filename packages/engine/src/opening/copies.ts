import { isBeingOpened, type TargetTransaction } from '@mylab-sync/core'

/**
 * Tables with the number of the copy that is opened. Preparing takes minutes where millions of rows are surplus;
 * meanwhile a table may be set aside and its copy begun anew, which forgets what was parked for the old one.
 */
export type Copies = ReadonlyMap<string, number>

/**
 * The progress rows of tables whose same copies are still to be opened, locked. Asked again under the lock: an opener that comes
 * late would close what another has opened, or write rows of its older snapshot beside the drains.
 */
export async function lockUnopened(target: TargetTransaction, copies: Copies): Promise<boolean> {
  if (!(await target.tables.lock([...copies.keys()]))) return false
  const progress = await target.tables.all()
  return [...copies].every(([table, number]) => {
    const now = progress.get(table)
    return now !== undefined && isBeingOpened(now.state) && now.copyNumber === number
  })
}
