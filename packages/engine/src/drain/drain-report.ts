import { SyncError } from '@mylab-sync/core'
import type { Model } from '../model/model.js'
import type { Divergence } from '../tables/set-aside.js'

export type DrainReport = { readonly kind: 'busy' } | CompletedDrain

export interface CompletedDrain {
  readonly kind: 'done'
  readonly drain: number
  readonly entries: number
  readonly failed: number
  readonly slices: number
  /** Tables that this drain set aside, each with its reason. */
  readonly setAside: readonly Divergence[]
  /** All tables that were to open are open; false if one of them was set aside. */
  readonly opened: boolean
  /** The model that the drain used: newer than the caller's if definitions changed. */
  readonly model: Model
  /** Why the entries stay pending, to be read again by the next drain; null if they were acknowledged. */
  readonly unmarked: SyncError | null
}

/** Problems that a completed drain reports. */
export function problemsOf(report: DrainReport): SyncError[] {
  if (report.kind === 'busy') return []
  const setAside = report.setAside.map(
    ({ table, problem }) => new SyncError('generation-changed', `table ${table} is set aside: ${problem}`),
  )
  return report.unmarked ? [...setAside, report.unmarked] : setAside
}
