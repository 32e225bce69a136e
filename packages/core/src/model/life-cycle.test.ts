import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  forgetsKeys,
  isOpen,
  parksKeys,
  TABLE_STATES,
  type TableEvent,
  type TableState,
  transition,
} from './life-cycle.js'

const ALLOWED: readonly (readonly [TableState, TableEvent, TableState])[] = [
  ['discovered', 'install', 'capturing'],
  ['discovered', 'ask-for-copy', 'copying'],
  ['capturing', 'ask-for-copy', 'copying'],
  ['copying', 'all-chunks-done', 'catching-up'],
  ['catching-up', 'open', 'live'],
  ['catching-up', 'open-keyless', 'recopied'],
  ['live', 'mismatch', 'suspect'],
  ['live', 'pause', 'paused'],
  ['paused', 'resume', 'catching-up'],
  ['suspect', 'reconcile', 'copying'],
  ['live', 'vanish', 'gone'],
  ['capturing', 'break', 'broken'],
  ['broken', 'break', 'broken'],
]

test('a table goes from discovered to live, detours included, as the life cycle says', () => {
  for (const [state, event, next] of ALLOWED) assert.equal(transition(state, event), next, `${state} ${event}`)
})

test('only a table that is catching up can open', () => {
  for (const state of TABLE_STATES)
    if (state !== 'catching-up') assert.equal(transition(state, 'open'), undefined, state)
})

test("a table's keys are parked, written or forgotten, never two of these", () => {
  for (const state of TABLE_STATES)
    assert.ok([isOpen, parksKeys, forgetsKeys].filter((is) => is(state)).length <= 1, state)
})
