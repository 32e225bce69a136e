import type { StatusReport } from '@mylab-sync/engine'

interface Sample {
  readonly atMs: number
  readonly synced: number
  readonly copied: ReadonlyMap<string, number>
}

const WINDOW_MS = 10_000
/** Samples older than this say nothing about the present: nobody polled in between. */
const FORGET_MS = 60_000

/**
 * Rates from the difference of two reports. A count that decreased (a restarted copy, a clean-up) gives 0, never less.
 */
export class Throughput {
  readonly #samples: Sample[] = []

  add(report: StatusReport, atMs: number): void {
    const copied = new Map(report.tables.map((table) => [table.table, table.rowsCopied]))
    this.#samples.push({ atMs, synced: report.totals.synced, copied })
    const tooOld = (sample: Sample, next: Sample | undefined): boolean =>
      atMs - sample.atMs > FORGET_MS || (next !== undefined && atMs - next.atMs >= WINDOW_MS)
    for (let [first] = this.#samples; first && tooOld(first, this.#samples[1]); [first] = this.#samples)
      this.#samples.shift()
  }

  /** Change entries applied per second; null before two reports. */
  changes(): number | null {
    return this.#rate((sample) => sample.synced)
  }

  /** Rows copied per second by the first copy of one table, or of all; null before two reports. */
  rows(table?: string): number | null {
    if (table !== undefined) return this.#rate((sample) => sample.copied.get(table) ?? 0)
    // a table first seen later would count all its rows at once
    const known = [...(this.#samples[0]?.copied.keys() ?? [])]
    return this.#rate((sample) => sum(known.map((name) => sample.copied.get(name) ?? 0)))
  }

  #rate(count: (sample: Sample) => number): number | null {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)]
    if (!first || !last || last.atMs <= first.atMs) return null
    return (Math.max(0, count(last) - count(first)) * 1000) / (last.atMs - first.atMs)
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
