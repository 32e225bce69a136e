import type { TableProgress } from '@mylab-sync/core'

/** A table's problem, and whether the table continues only after a person has acted. */
export type Obstacle = Pick<TableProgress, 'waits'> & { readonly problem: string }

/** The table continues once a person has run these statements in the target. */
export function waitsFor(statements: readonly string[]): Obstacle {
  return { problem: `waits for: ${statements.join('; ')}`, waits: true }
}
