import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { createLog } from './log.js'

/** Clears a screen, forges a line and reverses a text. */
const EVIL = 'e\u001b[2J\nfine\u202e'

function lines(options: { level: string; format: 'pretty' | 'json' | null; isTTY?: boolean }): string {
  let text = ''
  const to = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString()
      done()
    },
  })
  const log = createLog({ ...options, color: true, to: Object.assign(to, { isTTY: options.isTTY ?? false }) })
  log.info({ table: 'patients' }, 'a message')
  log.info({ table: EVIL }, EVIL)
  log.warn({ password: 'secret', url: 'redis://:secret@host' }, 'another')
  return text
}

test('log lines are JSON without a terminal, and hold no secret', () => {
  const [first, , second] = lines({ level: 'info', format: null }).trimEnd().split('\n')
  const { time, ...rest } = JSON.parse(first ?? '') as Record<string, unknown>
  assert.deepEqual(rest, { level: 'info', table: 'patients', msg: 'a message' })
  assert.match(String(time), /^\d{4}-\d\d-\d\dT/)
  assert.doesNotMatch(second ?? '', /secret/)
})

test('log lines are for people on a terminal or on request', () => {
  assert.match(lines({ level: 'info', format: 'pretty' }), /^\[\d\d:\d\d:\d\d\] info: a message \(table: patients\)\n/)
  assert.ok(lines({ level: 'info', format: null, isTTY: true }).includes('] \u001b[33mwarn\u001b[0m: another'))
  assert.match(lines({ level: 'info', format: 'json', isTTY: true }), /^\{"level":"info"/)
})

test('no name in a log line moves a cursor or starts another line', () => {
  const text = lines({ level: 'info', format: 'pretty' })
  assert.match(text, /^\[\S+\] info: e\\u001b\[2J\\nfine\\u202e \(table: e\\u001b\[2J\\nfine\\u202e\)$/m)
  assert.equal(text.trimEnd().split('\n').length, 3)
  assert.equal(lines({ level: 'info', format: 'json' }).trimEnd().split('\n').length, 3)
})

test('messages below the level are not logged', () => {
  assert.doesNotMatch(lines({ level: 'warn', format: 'pretty' }), /a message/)
  assert.equal(lines({ level: 'silent', format: 'pretty' }), '')
})
