/** What `/api/status` answers; the server writes it and the page reads it. Adding is free, renaming is not. */
export interface View {
  readonly version: 1
  readonly mode: 'direct' | 'queue'
  /** Source and target, named without user or password. */
  readonly title: string
  readonly verdict: Verdict
  /** When the report was read; null before the first one. */
  readonly readAt: string | null
  readonly totals: {
    readonly total: number
    readonly synced: number
    readonly pending: number
    readonly failed: number
  }
  readonly lagMs: number | null
  readonly consistentAsOf: string | null
  readonly sentence: string
  readonly changesPerSecond: number | null
  readonly rowsPerSecond: number | null
  readonly tables: readonly TableView[]
  readonly problems: readonly Problem[]
}

/** right: all live. working: on its way by itself. wrong: somebody has to act. unknown: nobody can tell now. */
export type Tone = 'right' | 'working' | 'wrong' | 'unknown'

export interface Verdict {
  readonly tone: Tone
  readonly sentence: string
  /** What to do, null where nothing has to be done. */
  readonly remedy: string | null
}

export interface TableView {
  readonly table: string
  readonly state: string
  readonly rows: number
  readonly rowsCopied: number
  readonly copiedPercent: number
  readonly rowsPerSecond: number | null
  /** No change of this table has waited longer; null where nothing flows (the table is not open). */
  readonly lagMs: number | null
  readonly pending: number
  readonly parked: number
  readonly quarantined: number
  readonly verifiedAt: string | null
  readonly problem: string | null
}

export interface Problem {
  readonly table: string | null
  readonly text: string
  readonly remedy: string | null
}

/** What `/api/not-carried` answers: nothing of it has to be acted on. */
export interface NotCarriedView {
  readonly groups: readonly {
    readonly text: string
    readonly reason: string | null
    readonly items: readonly { readonly table: string; readonly text: string }[]
  }[]
}

/** What `/api/session` answers: what this page may do, and the token that a cross-site page cannot read. */
export interface SessionView {
  readonly token: string
  readonly actions: readonly string[]
  readonly queues: boolean
}
