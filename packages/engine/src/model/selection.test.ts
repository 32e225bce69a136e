import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { filterOf, matcherOf, selectionOf } from './selection.js'

const NAME = fc.string({ unit: fc.constantFrom('a', 'b', 'A', '.', '[', '😀'), maxLength: 6 })
const PATTERN = fc.string({ unit: fc.constantFrom('a', 'b', 'A', '.', '[', '😀', '*', '?'), maxLength: 6 })

/** Matches by the definition: `*` matches any sequence of characters, `?` exactly one. */
function fits(name: readonly string[], pattern: readonly string[]): boolean {
  const [sign, ...rest] = pattern
  if (sign === undefined) return name.length === 0
  if (sign === '*') return fits(name, rest) || (name.length > 0 && fits(name.slice(1), pattern))
  return name.length > 0 && (sign === '?' || sign === name[0]) && fits(name.slice(1), rest)
}

test('a table is selected by what its filters say, sign by sign', () => {
  const isOf = (name: string, patterns: readonly string[]): boolean =>
    patterns.some((pattern) => fits(Array.from(name), Array.from(pattern)))
  const patterns = fc.array(PATTERN, { maxLength: 3 })
  fc.assert(
    fc.property(patterns, patterns, fc.array(NAME, { maxLength: 5 }), (include, exclude, names) => {
      const [matches, filter, isSelected] = [matcherOf(include), filterOf(include), selectionOf({ include, exclude })]
      for (const name of names) {
        assert.equal(matches(name), isOf(name, include), name)
        assert.equal(filter(name), include.length === 0 || isOf(name, include), name)
        assert.equal(isSelected(name), isOf(name, include) && !isOf(name, exclude), name)
      }
    }),
    { numRuns: 500 },
  )
})
