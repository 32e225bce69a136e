import type { DigestScope, RowDigest, RowKey } from '@mylab-sync/core'
import { KEYS_PER_QUERY } from '../slice/closure.js'
import { slices } from '../slice/dirty-keys.js'

/** Digests the rows of a scope on one side. */
export type DigestOf = (scope: DigestScope) => Promise<RowDigest>

export const NO_ROWS: RowDigest = { rows: 0, sums: [0n, 0n] }

/** The digest of a disjoint union; with `sign` -1, of what is left without a part. */
export function combined(one: RowDigest, other: RowDigest, sign: 1 | -1): RowDigest {
  const [a, b] = one.sums
  const [c, d] = other.sums
  const factor = BigInt(sign)
  return { rows: one.rows + sign * other.rows, sums: [a + factor * c, b + factor * d] }
}

export function sameDigest(one: RowDigest, other: RowDigest): boolean {
  return one.rows === other.rows && one.sums[0] === other.sums[0] && one.sums[1] === other.sums[1]
}

/** The digest of a scope without the rows of these keys, and how many rows it has with them. */
export async function digestWithout(
  digestOf: DigestOf,
  { range }: DigestScope,
  exempt: readonly RowKey[],
): Promise<{ readonly digest: RowDigest; readonly rows: number }> {
  const whole = await digestOf({ range, keys: null })
  let digest = whole
  for (const keys of slices(exempt, KEYS_PER_QUERY)) digest = combined(digest, await digestOf({ range, keys }), -1)
  return { digest, rows: whole.rows }
}

/** The digest of exactly these keys. */
export async function digestOfKeys(digestOf: DigestOf, lists: AsyncIterable<readonly RowKey[]>): Promise<RowDigest> {
  let digest = NO_ROWS
  for await (const keys of lists)
    if (keys.length > 0) digest = combined(digest, await digestOf({ range: { lower: null, upper: null }, keys }), 1)
  return digest
}
