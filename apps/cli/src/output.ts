import { visible, visibleLines } from '@mylab-sync/runtime'

/**
 * These functions alone write to the terminal: data to stdout, talk to stderr. Each writes one line, whatever
 * characters a name in it contains.
 */
export function print(line: string): void {
  process.stdout.write(`${visible(line)}\n`)
}

export function tell(line: string): void {
  process.stderr.write(`${visible(line)}\n`)
}

/** Multi-line text: help, statements. */
export function printText(text: string): void {
  process.stdout.write(`${visibleLines(text)}\n`)
}

export function tellText(text: string): void {
  process.stderr.write(`${visibleLines(text)}\n`)
}

/** Preceded by an empty line. */
export function printHeading(line: string): void {
  print('')
  print(line)
}

/** Needs no `visible`: JSON escapes control characters. */
export function printJson(value: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify({ version: 1, ...value })}\n`)
}

/** Pads each column to its widest cell; aligns numbers right. */
export function printTable(header: readonly string[], found: readonly (readonly (string | number)[])[]): void {
  const rows = found.map((row) => row.map((cell) => (typeof cell === 'number' ? cell : visible(cell))))
  const widths = header.map((title, at) => Math.max(title.length, ...rows.map((row) => String(row[at] ?? '').length)))
  const line = (cells: readonly (string | number)[]): string =>
    cells
      .map((cell, at) =>
        typeof cell === 'number' ? String(cell).padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0),
      )
      .join('  ')
      .trimEnd()
  print(line(header))
  for (const row of rows) print(line(row))
}

/** Indented columns without a header, each padded to its widest cell. */
export function printColumns(found: readonly (readonly string[])[]): void {
  const rows = found.map((row) => row.map(visible))
  const widthAt = (at: number): number => Math.max(0, ...rows.map((row) => row[at]?.length ?? 0))
  for (const row of rows) print(`  ${row.map((cell, at) => cell.padEnd(widthAt(at))).join('  ')}`.trimEnd())
}

export function clock(): string {
  return `[${new Date().toTimeString().slice(0, 8)}]`
}
