import { type DestinationStream, type Logger, pino } from 'pino'
import { visible } from './visible.js'

export type Log = Logger

export interface LogOptions {
  readonly level: string
  /** Null: pretty on a terminal, JSON elsewhere. */
  readonly format: 'pretty' | 'json' | null
  readonly color: boolean
  /** Defaults to stderr. */
  readonly to?: NodeJS.WritableStream & { readonly isTTY?: boolean }
}

/** Log of long-running work: constant messages with fields, no row data, no secret. */
export function createLog({ level, format, color, to = process.stderr }: LogOptions): Log {
  const asJson = format === null ? to.isTTY !== true : format === 'json'
  const stream: DestinationStream = {
    write: (line) => void to.write(asJson ? line : pretty(line, color && to.isTTY === true)),
  }
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: ['password', '*.password', 'url', '*.url', 'redisUrl'],
    },
    stream,
  )
}

const COLOURS: Readonly<Record<string, number>> = { warn: 33, error: 31, fatal: 31 }

/** `[14:23:45] warn: message (field: value)`. */
function pretty(line: string, coloured: boolean): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
  const at = new Date(String(time)).toTimeString().slice(0, 8)
  const extra = Object.entries(fields).map(
    ([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  const colour = COLOURS[String(level)]
  const label = coloured && colour !== undefined ? `\u001b[${colour}m${String(level)}\u001b[0m` : String(level)
  return `[${at}] ${label}: ${visible(`${String(msg)}${extra.length === 0 ? '' : ` (${extra.join(', ')})`}`)}\n`
}
