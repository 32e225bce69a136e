export const TABLE_STATES = [
  'discovered',
  'capturing',
  'copying',
  'catching-up',
  'live',
  'paused',
  'suspect',
  'recopied',
  'copied',
  'broken',
  'refused',
  'gone',
] as const
export type TableState = (typeof TABLE_STATES)[number]

export const TABLE_EVENTS = [
  'install',
  'ask-for-copy',
  'all-chunks-done',
  'open',
  'open-keyless',
  'end-uncaptured',
  'pause',
  'resume',
  'mismatch',
  'reconcile',
  'break',
  'refuse',
  'vanish',
  'accept',
] as const
export type TableEvent = (typeof TABLE_EVENTS)[number]

/** Not allowed: the table keeps its state. */
const NO = null

/** The complete life cycle of DESIGN section 2, every cell: the state that each event leads to. */
const TRANSITIONS: Readonly<Record<TableState, Readonly<Record<TableEvent, TableState | null>>>> = {
  discovered: {
    install: 'capturing',
    'ask-for-copy': 'copying',
    'all-chunks-done': NO,
    open: NO,
    'open-keyless': NO,
    'end-uncaptured': NO,
    pause: NO,
    resume: NO,
    mismatch: NO,
    reconcile: NO,
    break: 'broken',
    refuse: 'refused',
    vanish: 'gone',
    accept: NO,
  },
  capturing: {
    install: 'capturing',
    'ask-for-copy': 'copying',
    'all-chunks-done': NO,
    open: NO,
    'open-keyless': NO,
    'end-uncaptured': NO,
    pause: NO,
    resume: NO,
    mismatch: 'capturing',
    reconcile: NO,
    break: 'broken',
    refuse: 'refused',
    vanish: 'gone',
    accept: NO,
  },
  copying: {
    install: NO,
    'ask-for-copy': 'copying',
    'all-chunks-done': 'catching-up',
    open: NO,
    'open-keyless': NO,
    'end-uncaptured': NO,
    pause: NO,
    resume: NO,
    mismatch: 'suspect',
    reconcile: NO,
    break: 'broken',
    refuse: 'refused',
    vanish: 'gone',
    accept: NO,
  },
  'catching-up': {
    install: NO,
    'ask-for-copy': NO,
    'all-chunks-done': 'catching-up',
    open: 'live',
    'open-keyless': 'recopied',
    'end-uncaptured': 'copied',
    pause: NO,
    resume: NO,
    mismatch: 'suspect',
    reconcile: NO,
    break: 'broken',
    refuse: NO,
    vanish: 'gone',
    accept: NO,
  },
  live: {
    install: NO,
    'ask-for-copy': 'copying',
    'all-chunks-done': NO,
    open: NO,
    'open-keyless': NO,
    'end-uncaptured': NO,
    pause: 'paused',
    resume: NO,
    mismatch: 'suspect',
    reconcile: NO,
    break: 'broken',
    refuse: NO,
    vanish: 'gone',
    accept: NO,
  },
  paused: {
    install: NO,
    'ask-for-copy': NO,
    'all-chunks-done': NO,
    open: NO,
    'open-keyless': NO,
    'end-uncaptured': NO,
    pause: 'paused',
    resume: 'catching-up',
    mismatch: 'suspect',
    reconcile: NO,
    break: 'broken',
    refuse: NO,
    vanish: 'gone',
    accept: NO,
  },
  suspect: {
    install: NO,
    'ask-for-copy': 'copying',
    'all-chunks-done': NO,
    open: NO,
    'open-keyless': NO,
    'end-uncaptured': NO,
    pause: NO,
    resume: NO,
    mismatch: 'suspect',
    reconcile: 'copying',
    break: 'broken',
    refuse: 'refused',
    vanish: 'gone',
    accept: NO,
  },
  recopied: {
    install: NO,
    'ask-for-copy': 'copying',
    'all-chunks-done': NO,
    open: NO,
    'open-keyless': NO,
    'end-uncaptured': NO,
    pause: 'paused',
    resume: NO,
    mismatch: 'suspect',
    reconcile: NO,
    break: 'broken',
    refuse: NO,
    vanish: 'gone',
    accept: NO,
  },
  copied: {
    install: 'suspect',
    'ask-for-copy': 'copying',
    'all-chunks-done': NO,
    open: NO,
    'open-keyless': NO,
    'end-uncaptured': NO,
    pause: NO,
    resume: NO,
    mismatch: NO,
    reconcile: NO,
    break: 'broken',
    refuse: NO,
    vanish: 'gone',
    accept: NO,
  },
  broken: {
    install: NO,
    'ask-for-copy': 'copying',
    'all-chunks-done': NO,
    open: NO,
    'open-keyless': NO,
    'end-uncaptured': NO,
    pause: NO,
    resume: NO,
    mismatch: 'suspect',
    reconcile: NO,
    break: 'broken',
    refuse: 'refused',
    vanish: 'gone',
    accept: NO,
  },
  refused: {
    install: NO,
    'ask-for-copy': NO,
    'all-chunks-done': NO,
    open: NO,
    'open-keyless': NO,
    'end-uncaptured': NO,
    pause: NO,
    resume: NO,
    mismatch: 'suspect',
    reconcile: NO,
    break: NO,
    refuse: 'refused',
    vanish: 'gone',
    accept: 'discovered',
  },
  gone: {
    install: NO,
    'ask-for-copy': 'copying',
    'all-chunks-done': NO,
    open: NO,
    'open-keyless': NO,
    'end-uncaptured': NO,
    pause: NO,
    resume: NO,
    mismatch: 'suspect',
    reconcile: NO,
    break: NO,
    refuse: NO,
    vanish: NO,
    accept: 'discovered',
  },
}

/** The state after `event`; null if the event is not allowed in `state`. */
export function transition(state: TableState, event: TableEvent): TableState | null {
  return TRANSITIONS[state][event]
}

/**
 * Dirty keys of such a table are parked until it opens; those of any other table that is not open are discarded. A suspect
 * table can do without: its next copy reads every row and starts after everything that was discarded.
 */
export function parksKeys(state: TableState): boolean {
  return isBeingOpened(state) || state === 'paused'
}

/**
 * Changes to such a table are discarded until its next copy starts, including the cascades they cause; so a child's copy that
 * started earlier is void.
 */
export function forgetsKeys(state: TableState): boolean {
  return state === 'suspect' || state === 'broken'
}

/** The target has rows of such a table, or is about to; others count as not selected. */
export function isCarried(state: TableState): boolean {
  return state !== 'discovered' && state !== 'capturing' && state !== 'refused' && state !== 'gone'
}

/** As `isCarried`, or its rows remain from before it disappeared or was refused: it may come back. */
export function isKept({
  state,
  generation,
}: {
  readonly state: TableState
  readonly generation: string | null
}): boolean {
  return isCarried(state) || ((state === 'refused' || state === 'gone') && generation !== null)
}

/** Being opened: its chunks are copied, or its parked keys are being caught up. */
export function isBeingOpened(state: TableState): boolean {
  return state === 'copying' || state === 'catching-up'
}

/** Drains write to such a table. */
export function isOpen(state: TableState): boolean {
  return state === 'live' || state === 'recopied'
}
