/** The only writers to the terminal: stdout is data, stderr is talk. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

export function tell(line: string): void {
  process.stderr.write(`${line}\n`)
}

export function printJson(value: Record<string, unknown>): void {
  print(JSON.stringify({ version: 1, ...value }))
}

/** Columns aligned to their widest cell; numbers to the right. */
export function printTable(header: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
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

/** Indented cells, each as wide as the widest of its column, without a header. */
export function printColumns(rows: readonly (readonly string[])[]): void {
  const widthAt = (at: number): number => Math.max(0, ...rows.map((row) => row[at]?.length ?? 0))
  for (const row of rows) print(`  ${row.map((cell, at) => cell.padEnd(widthAt(at))).join('  ')}`.trimEnd())
}

export function clock(): string {
  return `[${new Date().toTimeString().slice(0, 8)}]`
}
