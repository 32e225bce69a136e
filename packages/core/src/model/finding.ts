/** error: the product cannot work, or data would be wrong; warning: works, with a loss that is named; note: worth knowing. */
export type Severity = 'error' | 'warning' | 'note'

/** One sentence of a preflight: what is so, why it matters, and the statement or setting to type. */
export interface Finding {
  /** Stable, for scripts: `source-right-missing`. */
  readonly code: string
  readonly severity: Severity
  readonly side: 'source' | 'target' | 'redis' | 'host'
  readonly cause: string
  readonly remedy: string
}
