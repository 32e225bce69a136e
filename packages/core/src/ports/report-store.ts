/** What the target's state keeps of a verification report. */
export interface ReportRecord {
  /** 1, 2, .. without a gap. */
  readonly number: number
  /** SHA-256 of its canonical JSON, in hexadecimal digits. */
  readonly digest: string
  /** By the target's clock, ISO 8601 in UTC. */
  readonly writtenAt: string
}

/** The chain of verification reports. */
export interface ReportStore {
  /** Returns the last report; no other process adds one until this transaction ends. */
  lockLast(): Promise<ReportRecord | null>
  add(report: Pick<ReportRecord, 'number' | 'digest'>): Promise<void>
  /** All, by number. */
  all(): Promise<ReportRecord[]>
}
