import type { RowDifference, RowKey } from '@mylab-sync/core'

export type DifferenceKind = RowDifference['kind'] | 'surplus'

export interface Difference {
  readonly key: RowKey
  readonly kind: DifferenceKind
  /** Names of the source's columns that differ. */
  readonly columns: readonly string[]
}

/** Differences of one table: plain data. The counts are whole; the lists hold the first ones, as many as `FindingsLimits` allow. */
export interface Findings {
  readonly counts: Record<DifferenceKind, number>
  readonly differences: Difference[]
  /** Texts of the key columns of target rows that no key of the source can address; they count as surplus. */
  readonly strays: (readonly string[])[]
  /** Approximate size of the lists in memory or in JSON. */
  bytes: number
}

export interface FindingsLimits {
  readonly keys: number
  readonly bytes: number
}

/** The number that a report lists. */
export const REPORTED: FindingsLimits = { keys: 1_000, bytes: 256 << 10 }
export const ALL: FindingsLimits = { keys: Infinity, bytes: Infinity }
const BYTES_BESIDE = 40

export function noFindings(): Findings {
  return { counts: { missing: 0, surplus: 0, different: 0 }, differences: [], strays: [], bytes: 0 }
}

export function countFindings({ counts: { missing, surplus, different } }: Findings): number {
  return missing + surplus + different
}

/** Whether the lists together have reached their limit. */
export function isFull(lists: readonly Findings[], limits: FindingsLimits): boolean {
  const sum = (size: (findings: Findings) => number): number => lists.reduce((total, each) => total + size(each), 0)
  return (
    sum(({ differences, strays }) => differences.length + strays.length) >= limits.keys ||
    sum(({ bytes }) => bytes) >= limits.bytes
  )
}

export function addFindings(
  findings: Findings,
  found: Pick<Findings, 'differences' | 'strays'>,
  limits: FindingsLimits,
): void {
  const { counts, differences, strays } = findings
  for (const difference of found.differences) {
    counts[difference.kind]++
    if (isFull([findings], limits)) continue
    differences.push(difference)
    findings.bytes += bytesOf([difference.key, ...difference.columns])
  }
  for (const stray of found.strays) {
    counts.surplus++
    if (isFull([findings], limits)) continue
    strays.push(stray)
    findings.bytes += bytesOf(stray)
  }
}

function bytesOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + text.length, BYTES_BESIDE)
}
