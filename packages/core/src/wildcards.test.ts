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

test('a hundred wildcards against a long name match in no time', { timeout: 5_000 }, () => {
  assert.equal(isOfPattern('a'.repeat(5_000), pattern(`${'*a'.repeat(100)}*b`)), false)
  assert.equal(isOfPattern(`${'a'.repeat(5_000)}b`, pattern(`${'*a'.repeat(100)}*b`)), true)
})
