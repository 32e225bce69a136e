import assert from 'node:assert/strict'
import { test } from 'node:test'
import { visible, visibleLines } from './visible.js'

test('cursor moves, bidi marks and forged lines are escaped, letters of any script not', () => {
  assert.equal(visible('a\u001b[2J\r\nok\t\u009b1m\u007f\u0000'), 'a\\u001b[2J\\r\\nok\\t\\u009b1m\\u007f\\u0000')
  assert.equal(visible('\u202eevil\u2066\u200f\u061c\u2028\ufeff'), '\\u202eevil\\u2066\\u200f\\u061c\\u2028\\ufeff')
  for (const text of ['kunden_ä', 'مرضى', 'पंक्ति\u200d', '漢字 😀', 'C:\\new']) assert.equal(visible(text), text)
  assert.equal(visibleLines('a\nb\u001b'), 'a\nb\\u001b')
})
