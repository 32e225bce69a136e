import type { TableProgress } from '@mylab-sync/core'

/** What a table says, and whether it goes on only once somebody has acted. */
export type Obstacle = Pick<TableProgress, 'waits'> & { readonly problem: string }

/** A table that goes on once somebody has run these statements in the target. */
export function waitsFor(statements: readonly string[]): Obstacle {
  return { problem: `waits for: ${statements.join('; ')}`, waits: true }
}
