/** The response of `/api/status`, shared by server and page. Adding a field is free, renaming is not. */
export interface View {
  readonly version: 1
  readonly mode: 'direct' | 'queue'
  /** Names source and target, without user or password. */
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
  /** How far the contents of the open tables are verified. */
  readonly verification: VerificationView
  readonly changesPerSecond: number | null
  readonly rowsPerSecond: number | null
  readonly tables: readonly TableView[]
  readonly problems: readonly Problem[]
}

export interface VerificationView {
  /** The earliest moment at which an open table was last found equal; null: one of them never was. */
  readonly verifiedAt: string | null
  readonly tables: number
  readonly verified: number
  readonly rowsDifferent: number
  readonly rowsRepaired: number
  /** Share of the time that verification by itself may take; 0: it is off. */
  readonly share: number
  readonly pace: { readonly share: number; readonly rowsPerHour: number; readonly passMs: number | null } | null
}

/**
 * right: all tables live. working: progressing without intervention. wrong: action needed. unknown: the status cannot
 * be read.
 */
export type Tone = 'right' | 'working' | 'wrong' | 'unknown'

export interface Verdict {
  readonly tone: Tone
  readonly sentence: string
  /** What to do; null if nothing. */
  readonly remedy: string | null
}

export interface TableView {
  readonly table: string
  readonly state: string
  readonly rows: number
  readonly rowsCopied: number
  readonly copiedPercent: number
  readonly rowsPerSecond: number | null
  /** Upper bound of the age of this table's oldest pending change; null if the table is not open. */
  readonly lagMs: number | null
  readonly pending: number
  readonly parked: number
  readonly quarantined: number
  /** Each row was found equal at a moment between these two; null: never. */
  readonly verifiedAt: string | null
  readonly verifiedUntil: string | null
  readonly rowsDifferent: number
  readonly rowsRepaired: number
  readonly problem: string | null
  /** Whether the table resumes only after the statements in `problem` have been run. */
  readonly waits: boolean
}

export interface Problem {
  readonly table: string | null
  /** Stable, for scripts: `table-broken`. */
  readonly code: string
  readonly text: string
  readonly remedy: string | null
}

/** The response of `/api/not-carried`; nothing in it needs action. */
export interface NotCarriedView {
  readonly groups: readonly {
    readonly text: string
    readonly reason: string | null
    readonly items: readonly { readonly table: string; readonly text: string }[]
  }[]
}

/** The response of `/api/session`: the actions this page offers, and the token, which a cross-site page cannot read. */
export interface SessionView {
  readonly token: string
  readonly actions: readonly string[]
  readonly queues: boolean
}
