const DIGITS = `(${Array.from({ length: 10 }, (_, digit) => `SELECT ${digit} AS n`).join(' UNION ALL ')})`

/**
 * An item of FROM: the whole numbers from 1 to `last` as column `seq`, on any source. MySQL lacks MariaDB's sequence tables,
 * and recurses only 1,000 times.
 */
export function numbersTo(last: number): string {
  const places = Array.from({ length: String(last).length }, (_, place) => place)
  const value = places.map((place) => `d${place}.n * ${10 ** place}`).join(' + ')
  const digits = places.map((place) => `${DIGITS} d${place}`).join(', ')
  return `(SELECT ${value} AS seq FROM ${digits} HAVING seq BETWEEN 1 AND ${last} ORDER BY seq) numbers`
}
