import type { SourceSnapshot } from '@mylab-sync/core'
import { Snapshot } from './snapshot/snapshot.js'

/** The texts of a query's values, as this snapshot shows them: for comparisons that share no code with the product. */
export async function textsOf(snapshot: SourceSnapshot, query: string): Promise<(string | null)[][]> {
  if (!(snapshot instanceof Snapshot)) throw new TypeError('not a snapshot of this package')
  return await snapshot.reader.texts(query)
}
