import { randomUUID } from 'node:crypto'
import type { DrainReport } from './drain-report.js'
import { UnreadableEntries } from './unreadable-entries.js'
import { UnsyncedEntries } from './unsynced-entries.js'

/** The outcome of one drain so far. */
export class DrainOutcome {
  readonly number: number
  /** Distinguishes this drain from another one with the same number. */
  readonly token = randomUUID()
  readonly unsynced = new UnsyncedEntries()
  readonly unreadable = new UnreadableEntries()
  /** Rows that the target refused. */
  failed = 0
  slices = 0

  constructor(number: number) {
    this.number = number
  }

  report(
    rest: Pick<Extract<DrainReport, { kind: 'done' }>, 'entries' | 'setAside' | 'opened' | 'model' | 'unmarked'>,
  ): DrainReport {
    return { ...rest, kind: 'done', drain: this.number, failed: this.failed, slices: this.slices }
  }
}
