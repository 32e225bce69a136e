import { SyncError } from '@mylab-sync/core'

export function fault(text: string): SyncError {
  return new SyncError('configuration', text)
}
