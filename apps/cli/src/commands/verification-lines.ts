import { counted } from '@mylab-sync/core'
import type { DifferingRow, TableStatus, VerificationStatus } from '@mylab-sync/engine'

/** To the minute; the JSON has it in full. */
export function verifiedText({ verifiedAt }: TableStatus): string {
  return verifiedAt === null ? '-' : verifiedAt.slice(0, 16).replace('T', ' ')
}

export function differingLine({ table, key, kind, columns }: DifferingRow): string {
  return `${kind}: ${table} (${key.join(', ')})${columns.length > 0 ? `: ${columns.join(', ')}` : ''}`
}

/** How much of the time verification takes by itself, and how long it needs for all tables. */
export function paceLine({ share, pace }: VerificationStatus): string {
  if (share === 0) return 'Background verification is off: verify.background.'
  const may = `Background verification takes ${Number((share * 100).toPrecision(3))} % of the time`
  if (pace === null) return `${may}; it has not begun yet.`
  const pass = pace.passMs === null ? '' : `; all tables take about ${durationText(pace.passMs)}`
  const pauseSeconds = Math.round(pace.pauseMs / 100) / 10
  return `${may}: the last step took ${pace.stepMs} ms, then a pause of ${pauseSeconds} s; ${counted(pace.rowsPerHour, 'row')} an hour${pass}.`
}

function durationText(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / 60_000))
  return minutes < 120 ? counted(minutes, 'minute') : counted(Math.round(minutes / 60), 'hour')
}
