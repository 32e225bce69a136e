import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  forgetsKeys,
  isOpen,
  parksKeys,
  TABLE_EVENTS,
  TABLE_STATES,
  type TableEvent,
  type TableState,
  transition,
} from './life-cycle.js'

/** By event: from which state to which. What is not listed is not allowed. */
const ALLOWED: Readonly<Record<TableEvent, Partial<Readonly<Record<TableState, TableState>>>>> = {
  install: { discovered: 'capturing', capturing: 'capturing', copied: 'suspect' },
  'ask-for-copy': {
    discovered: 'copying',
    capturing: 'copying',
    copying: 'copying',
    live: 'copying',
    suspect: 'copying',
    recopied: 'copying',
    copied: 'copying',
    broken: 'copying',
    gone: 'copying',
  },
  'all-chunks-done': { copying: 'catching-up', 'catching-up': 'catching-up' },
  open: { 'catching-up': 'live' },
  'open-keyless': { 'catching-up': 'recopied' },
  'end-uncaptured': { 'catching-up': 'copied' },
  pause: { live: 'paused', paused: 'paused', recopied: 'paused' },
  resume: { paused: 'catching-up' },
  mismatch: {
    capturing: 'capturing',
    copying: 'suspect',
    'catching-up': 'suspect',
    live: 'suspect',
    paused: 'suspect',
    suspect: 'suspect',
    recopied: 'suspect',
    broken: 'suspect',
    refused: 'suspect',
    gone: 'suspect',
  },
  reconcile: { suspect: 'copying' },
  break: {
    discovered: 'broken',
    capturing: 'broken',
    copying: 'broken',
    'catching-up': 'broken',
    live: 'broken',
    paused: 'broken',
    suspect: 'broken',
    recopied: 'broken',
    copied: 'broken',
    broken: 'broken',
  },
  refuse: {
    discovered: 'refused',
    capturing: 'refused',
    copying: 'refused',
    suspect: 'refused',
    broken: 'refused',
    refused: 'refused',
  },
  vanish: {
    discovered: 'gone',
    capturing: 'gone',
    copying: 'gone',
    'catching-up': 'gone',
    live: 'gone',
    paused: 'gone',
    suspect: 'gone',
    recopied: 'gone',
    copied: 'gone',
    broken: 'gone',
    refused: 'gone',
  },
  accept: { refused: 'discovered', gone: 'discovered' },
}

test('every event leads from every state where the life cycle says, or is not allowed', () => {
  for (const state of TABLE_STATES)
    for (const event of TABLE_EVENTS)
      assert.equal(transition(state, event), ALLOWED[event][state] ?? null, `${state} ${event}`)
})

test('only a table that is catching up can open', () => {
  for (const event of ['open', 'open-keyless', 'end-uncaptured'] as const)
    assert.deepEqual(
      TABLE_STATES.filter((state) => transition(state, event) !== null),
      ['catching-up'],
    )
})

test('no state is a dead end: a table can be copied again from each', () => {
  for (const start of TABLE_STATES) {
    const reached = new Set<TableState>([start])
    for (const state of reached) for (const event of TABLE_EVENTS) reached.add(transition(state, event) ?? state)
    assert.ok(reached.has('copying'), start)
  }
})

test("a table's keys are parked, written or forgotten, never two of these", () => {
  for (const state of TABLE_STATES)
    assert.ok([isOpen, parksKeys, forgetsKeys].filter((is) => is(state)).length <= 1, state)
})
