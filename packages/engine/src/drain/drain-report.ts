import { SyncError } from '@mylab-sync/core'
import type { Model } from '../model/model.js'
import type { Misfit } from '../tables/set-aside.js'

export type DrainReport =
  | { readonly kind: 'busy' }
  | {
      readonly kind: 'done'
      readonly drain: number
      readonly entries: number
      readonly failed: number
      readonly slices: number
      /** Tables set aside by this drain, each with its reason. */
      readonly setAside: readonly Misfit[]
      /** The tables asked for are open now; false where one of them had to be set aside. */
      readonly opened: boolean
      /** The model that the drain was done with: newer than the caller's where definitions have moved. */
      readonly model: Model
      /** Why the entries stay pending, to be read again with what this drain wrote. */
      readonly unmarked: SyncError | null
    }

/** What a drain that is done has to tell all the same. */
export function problemsOf(report: DrainReport): SyncError[] {
  if (report.kind === 'busy') return []
  const setAside = report.setAside.map(
    ({ table, problem }) => new SyncError('generation-changed', `table ${table} is set aside: ${problem}`),
  )
  return report.unmarked ? [...setAside, report.unmarked] : setAside
}
