import type { Outcome } from '../slice/apply.js'
import type { Pass } from './pass.js'

/** Tables that a drain could not follow: of their entries or rows it is not known what they speak of. */
export class UnreadableEntries {
  /** Tables of entries whose keys are of another layout, with the last such entry. */
  readonly otherLayout = new Map<string, bigint>()
  /** Tables of entries that no trigger of ours can have written. */
  readonly malformed = new Set<string>()
  /** Tables with rows of a later definition than the model's. */
  readonly outdated = new Set<string>()

  /** What PostgreSQL refuses for a type that the source has changed since is no row to quarantine: the copy that follows brings it. */
  async dropOutdated({ model, snapshot }: Pass, { refused }: Outcome): Promise<void> {
    for (const [table, rows] of refused) {
      // An SQLSTATE: refusals by our own rules have names.
      if (!rows.some(({ code }) => /^[0-9A-Z]{5}$/.test(code))) continue
      if (model.isOf(table, await snapshot.fingerprint(table))) continue
      this.outdated.add(table)
      refused.delete(table)
    }
  }
}
