/** Waits for both even if one fails, and throws its error then: nothing of either still runs when the caller cleans up. */
export async function both<A, B>(one: Promise<A>, other: Promise<B>): Promise<readonly [A, B]> {
  await Promise.allSettled([one, other])
  return [await one, await other]
}
