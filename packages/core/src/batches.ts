/** Splits items into consecutive lists of `size`; the last may be shorter. */
export function* batchesOf<T>(items: Iterable<T>, size: number): Generator<T[], void, void> {
  let batch: T[] = []
  for (const item of items) {
    batch.push(item)
    if (batch.length < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
