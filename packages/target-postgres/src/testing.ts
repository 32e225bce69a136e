import type { TargetTransaction } from '@mylab-sync/core'
import { Transaction } from './transaction.js'

/** The texts of a query's values, as seen by this transaction: for comparisons that share no code with the product. */
export async function textsOf(transaction: TargetTransaction, query: string): Promise<(string | null)[][]> {
  if (!(transaction instanceof Transaction)) throw new TypeError('not a transaction of this package')
  const result = await transaction.session.client.query<(string | null)[]>({ text: query, rowMode: 'array' })
  return result.rows
}
