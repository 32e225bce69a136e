export const ONE = Symbol('any one character')
export const MANY = Symbol('any characters, or none')

/**
 * Whether a text matches a pattern of literal characters, ONE and MANY. Takes at most the product of both lengths: only the
 * last MANY is ever extended, since extending an earlier one cannot help. A regular expression with a dozen of them would backtrack forever.
 */
export function matchesWildcards(text: string, pattern: readonly (string | symbol)[]): boolean {
  const characters = codePointsOf(text)
  let [at, of] = [0, 0]
  let many: { readonly of: number; readonly at: number } | null = null
  while (at < characters.length) {
    if (pattern[of] === MANY) many = { of: of++, at }
    else if (of < pattern.length && (pattern[of] === ONE || pattern[of] === characters[at])) [at, of] = [at + 1, of + 1]
    else if (many === null) return false
    else {
      many = { of: many.of, at: many.at + 1 }
      ;[at, of] = [many.at, many.of + 1]
    }
  }
  return pattern.slice(of).every((character) => character === MANY)
}

/** Splits a text into code points, so that no surrogate pair is cut. */
export function codePointsOf(text: string): string[] {
  return Array.from(text)
}
