import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { matchesWildcards, MANY, ONE, codePointsOf } from './wildcards.js'

const pattern = (text: string): (string | symbol)[] =>
  codePointsOf(text).map((character) => (character === '*' ? MANY : character === '?' ? ONE : character))

test('wildcards match any characters, everything else matches itself', () => {
  const fits = ['* ', '*', '', 'a*', 'a*b', '*b*', '?', '??', 'a.b', '*a*a*b', '😀?'].map((text) => text.trim())
  const texts = ['', 'a', 'b', 'ab', 'aab', 'aXb', 'a.b', 'aba', 'aaab', '😀!', '😀', 'a\nb', '[b']
  for (const each of new Set(fits))
    for (const text of texts) {
      const source = each
        .replaceAll(/[.[\]]/g, '\\$&')
        .replaceAll('*', '.*')
        .replaceAll('?', '.')
      assert.equal(matchesWildcards(text, pattern(each)), new RegExp(`^${source}$`, 'su').test(text), `${each} ${text}`)
    }
})

test('a hundred wildcards against a long name match in no time', () => {
  const tookMs = (text: string, stars: number, fits: boolean): number => {
    const began = performance.now()
    assert.equal(matchesWildcards(text, pattern(`${'*a'.repeat(stars)}*b`)), fits)
    return performance.now() - began
  }
  // A regular expression takes seconds for the first, and would never end with the others.
  assert.ok(tookMs('a'.repeat(40), 8, false) < 1_000)
  assert.ok(tookMs('a'.repeat(5_000), 100, false) < 1_000)
  assert.ok(tookMs(`${'a'.repeat(5_000)}b`, 100, true) < 1_000)
})

/** By definition: MANY matches any rest of the text. */
function fits(text: readonly string[], of: readonly (string | symbol)[]): boolean {
  const [character, ...rest] = of
  if (character === undefined) return text.length === 0
  if (character === MANY) return fits(text, rest) || (text.length > 0 && fits(text.slice(1), of))
  return text.length > 0 && (character === ONE || character === text[0]) && fits(text.slice(1), rest)
}

test('a pattern matches what its definition says', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '😀'), maxLength: 8 })
  const of = fc.string({ unit: fc.constantFrom('a', 'b', '😀', '*', '?'), maxLength: 8 })
  fc.assert(
    fc.property(text, of, (each, one) => {
      assert.equal(matchesWildcards(each, pattern(one)), fits(codePointsOf(each), pattern(one)))
    }),
    { numRuns: 1_000 },
  )
})
