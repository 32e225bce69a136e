import { type Edge, ValueRefused } from '@mylab-sync/core'

type Column = Edge['parentKey']['columns'][number]['column']

/**
 * Returns the tokens by which children of `edge` reference a parent's row, from the row's values as read. Null if a
 * referenced column is NULL or cannot be carried: no child in the target holds such a value.
 */
export function tokensOfValues(edge: Edge, valueOf: (column: string, at: number) => Buffer | null): string[] | null {
  const tokens: string[] = []
  for (const [at, key] of edge.parentKey.columns.entries()) {
    const text = textOf(key.column, valueOf(key.column.source.name, at))
    if (text === null) return null
    tokens.push(key.fromTarget(text))
  }
  return tokens
}

function textOf({ convert }: Column, value: Buffer | null): string | null {
  try {
    const converted = value === null || convert === null ? value : convert(value, () => {})
    return converted?.toString('utf8') ?? null
  } catch (error) {
    if (error instanceof ValueRefused) return null
    throw error
  }
}
