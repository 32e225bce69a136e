import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOfPattern, MANY, ONE, signsOf } from './wildcards.js'

const pattern = (text: string): (string | symbol)[] =>
  signsOf(text).map((sign) => (sign === '*' ? MANY : sign === '?' ? ONE : sign))

test('wildcards match any characters, everything else matches itself', () => {
  const fits = ['* ', '*', '', 'a*', 'a*b', '*b*', '?', '??', 'a.b', '*a*a*b', '😀?'].map((text) => text.trim())
  const texts = ['', 'a', 'b', 'ab', 'aab', 'aXb', 'a.b', 'aba', 'aaab', '😀!', '😀', 'a\nb', '[b']
  for (const each of new Set(fits))
    for (const text of texts) {
      const source = each
        .replaceAll(/[.[\]]/g, '\\$&')
        .replaceAll('*', '.*')
        .replaceAll('?', '.')
      assert.equal(isOfPattern(text, pattern(each)), new RegExp(`^${source}$`, 'su').test(text), `${each} ${text}`)
    }
})

test('a hundred wildcards against a long name match in no time', () => {
  const tookMs = (text: string, stars: number, fits: boolean): number => {
    const began = performance.now()
    assert.equal(isOfPattern(text, pattern(`${'*a'.repeat(stars)}*b`)), fits)
    return performance.now() - began
  }
  // A regular expression takes seconds for the first, and would never end with the others.
  assert.ok(tookMs('a'.repeat(40), 8, false) < 1_000)
  assert.ok(tookMs('a'.repeat(5_000), 100, false) < 1_000)
  assert.ok(tookMs(`${'a'.repeat(5_000)}b`, 100, true) < 1_000)
})
