import { SyncError } from '@mylab-sync/core'

/** `1%` as 0.01. Throws SyncError usage. */
export function shareOf(text: string): number {
  const [, digits] = /^(\d+(?:\.\d+)?)\s*%$/.exec(text) ?? []
  const share = Number(digits) / 100
  if (digits === undefined || share <= 0 || share > 1)
    throw new SyncError('usage', `--sample: found ${text}, expected a percentage above 0% and up to 100%`)
  return share
}

/** The latest and the earliest time that a Date holds. */
const MAX_TIME_MS = 8.64e15
const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** An ISO 8601 time in UTC, from one or from a duration before `now`. Throws SyncError usage. */
export function timeOf(text: string, now: number): string {
  const [, amount, unit = ''] = /^(\d+)(s|m|h|d)$/.exec(text) ?? []
  const time = amount === undefined ? Date.parse(text) : now - Number(amount) * (UNIT_MS[unit] ?? 0)
  const isTime = amount !== undefined || /^\d{4}-\d{2}-\d{2}/.test(text)
  if (!isTime || Number.isNaN(time) || Math.abs(time) > MAX_TIME_MS || time > now)
    throw new SyncError(
      'usage',
      `--since: found ${text}, expected 90s, 30m, 2h, 1d or a past time as 2026-01-31T12:00:00Z`,
    )
  return new Date(time).toISOString()
}
