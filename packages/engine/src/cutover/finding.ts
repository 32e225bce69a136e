import type { NotCarriedKind, TableState } from '@mylab-sync/core'
import type { ProblemCode } from '../report/problems.js'

export type CutoverCode =
  | `table-${TableState}`
  | ProblemCode
  | NotCarriedKind
  | 'unsigned'
  | 'counter'
  | 'view'
  | 'procedure'
  | 'function'
  | 'event'
  | 'trigger'
  | 'sequence'
  | 'not-visible'
  | 'table-left-out'
  | 'no-triggers'
  | 'rows-differ'
  | 'not-compared'
  | 'source-written'
  | 'abort-unfinished'
  | 'target-written'

/** What stands in the way of a cutover, or what the application loses by it. */
export interface CutoverFinding {
  readonly code: CutoverCode
  /** A cutover is refused while something blocks. */
  readonly severity: 'blocks' | 'note'
  /** The source's name; null: no particular table. */
  readonly table: string | null
  readonly cause: string
  /** Where `sql` runs; `shell`: they are commands. */
  readonly on: 'source' | 'target' | 'shell'
  readonly when: 'before' | 'after'
  /** Statements or commands that cure it, in order; empty: nothing can be run. */
  readonly sql: readonly string[]
}

export function blocks(finding: CutoverFinding): boolean {
  return finding.severity === 'blocks'
}

/** Something to be cured by commands before the cutover. */
export function blocking(
  code: CutoverCode,
  table: string | null,
  { cause, commands }: { readonly cause: string; readonly commands: readonly string[] },
): CutoverFinding {
  return { code, severity: 'blocks', table, cause, on: 'shell', when: 'before', sql: commands }
}
