/** Tables of one turn, at least: fewer are not worth a turn. */
const SMALLEST_TURN = 20
/** Turns over which all tables are spread. */
const TURNS = 18

/** How many of so many tables take one turn. */
export function turnSize(tables: number): number {
  return Math.max(SMALLEST_TURN, Math.ceil(tables / TURNS))
}

/** The tables whose turn has this number, which may be any: `TURNS` numbers in a row cover all tables. */
export function tablesOfTurn(tables: readonly string[], turn: number): readonly string[] {
  const size = turnSize(tables.length)
  const from = (turn % Math.max(1, Math.ceil(tables.length / size))) * size
  return tables.slice(from, from + size)
}
