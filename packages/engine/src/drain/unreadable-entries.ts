import type { Outcome } from '../slice/apply.js'
import type { Pass } from './pass.js'

/** Tables with entries or rows whose meaning a drain could not determine. */
export class UnreadableEntries {
  /** Tables of entries whose keys have another layout, with the last such entry. */
  readonly otherLayout = new Map<string, bigint>()
  /** Tables of entries that none of our triggers can have written. */
  readonly malformed = new Set<string>()
  /** Tables with rows of a later definition than the model's. */
  readonly outdated = new Set<string>()

  /** Drops refusals of tables whose type changed at the source meanwhile: the copy that follows brings these rows. */
  async dropOutdated({ model, snapshot }: Pass, { refused }: Outcome): Promise<void> {
    for (const [table, rows] of refused) {
      // SQLSTATEs only: refusals by our own rules have names.
      if (!rows.some(({ code }) => /^[0-9A-Z]{5}$/.test(code))) continue
      if (model.isOf(table, (await snapshot.fingerprintsOf([table])).get(table))) continue
      this.outdated.add(table)
      refused.delete(table)
    }
  }
}
