export const ONE = Symbol('any one sign')
export const MANY = Symbol('any signs, or none')

/**
 * Whether a text is of this pattern: signs literally, ONE and MANY. Takes as long as both are long at most, multiplied: only the
 * last MANY is ever taken back, since an earlier one can do no better. A regular expression of a dozen of them takes for ever.
 */
export function isOfPattern(text: string, pattern: readonly (string | symbol)[]): boolean {
  const signs = signsOf(text)
  let [at, of] = [0, 0]
  let many: { readonly of: number; readonly at: number } | null = null
  while (at < signs.length) {
    if (pattern[of] === MANY) many = { of: of++, at }
    else if (of < pattern.length && (pattern[of] === ONE || pattern[of] === signs[at])) [at, of] = [at + 1, of + 1]
    else if (many === null) return false
    else {
      many = { of: many.of, at: many.at + 1 }
      ;[at, of] = [many.at, many.of + 1]
    }
  }
  return pattern.slice(of).every((sign) => sign === MANY)
}

/** Code points: half of a surrogate pair is no sign. */
export function signsOf(text: string): string[] {
  return Array.from(text)
}
