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

export type TableEvent =
  | 'install'
  | 'ask-for-copy'
  | 'all-chunks-done'
  | 'open'
  | 'open-keyless'
  | 'end-uncaptured'
  | 'pause'
  | 'resume'
  | 'mismatch'
  | 'reconcile'
  | 'break'
  | 'refuse'
  | 'vanish'
  | 'accept'

/** The whole life cycle of DESIGN section 2; what is not listed is not allowed. */
const TRANSITIONS: Readonly<Record<TableState, Partial<Readonly<Record<TableEvent, TableState>>>>> = {
  discovered: { install: 'capturing', 'ask-for-copy': 'copying', break: 'broken', refuse: 'refused', vanish: 'gone' },
  capturing: {
    install: 'capturing',
    'ask-for-copy': 'copying',
    break: 'broken',
    refuse: 'refused',
    mismatch: 'capturing',
    vanish: 'gone',
  },
  copying: {
    'all-chunks-done': 'catching-up',
    'ask-for-copy': 'copying',
    break: 'broken',
    mismatch: 'suspect',
    vanish: 'gone',
    refuse: 'refused',
  },
  'catching-up': {
    open: 'live',
    'open-keyless': 'recopied',
    'end-uncaptured': 'copied',
    break: 'broken',
    mismatch: 'suspect',
    vanish: 'gone',
  },
  live: { pause: 'paused', mismatch: 'suspect', break: 'broken', vanish: 'gone', 'ask-for-copy': 'copying' },
  paused: { pause: 'paused', resume: 'catching-up', mismatch: 'suspect', vanish: 'gone', break: 'broken' },
  suspect: {
    reconcile: 'copying',
    'ask-for-copy': 'copying',
    mismatch: 'suspect',
    break: 'broken',
    vanish: 'gone',
    refuse: 'refused',
  },
  recopied: { pause: 'paused', mismatch: 'suspect', 'ask-for-copy': 'copying', break: 'broken', vanish: 'gone' },
  copied: { 'ask-for-copy': 'copying', install: 'suspect', break: 'broken', vanish: 'gone' },
  broken: { 'ask-for-copy': 'copying', break: 'broken', mismatch: 'suspect', vanish: 'gone', refuse: 'refused' },
  refused: { accept: 'discovered', mismatch: 'suspect', vanish: 'gone', refuse: 'refused' },
  gone: { accept: 'discovered', mismatch: 'suspect', 'ask-for-copy': 'copying' },
}

/** The state after `event`, or undefined where the event is not allowed in `state`. */
export function transition(state: TableState, event: TableEvent): TableState | undefined {
  return TRANSITIONS[state][event]
}

/**
 * Dirty keys of such a table are kept for its opening; those of any other closed table are forgotten. A suspect table
 * is read again as a whole: its next copy begins after everything that is forgotten.
 */
export function parksKeys(state: TableState): boolean {
  return isBeingOpened(state) || state === 'paused'
}

/**
 * What happens to its rows is forgotten until its next copy begins, and with it what they do to rows of other tables:
 * a copy of one of those that has begun before is worth nothing.
 */
export function forgetsKeys(state: TableState): boolean {
  return state === 'suspect' || state === 'broken'
}

/** The target holds, or is about to hold, rows of such a table; others count as not selected. */
export function isCarried(state: TableState): boolean {
  return state !== 'discovered' && state !== 'capturing' && state !== 'refused' && state !== 'gone'
}

/** As `isCarried`, or its rows are left from before it was gone or could not be carried any more: it may come back. */
export function isKept({
  state,
  generation,
}: {
  readonly state: TableState
  readonly generation: string | null
}): boolean {
  return isCarried(state) || ((state === 'refused' || state === 'gone') && generation !== null)
}

/** On its way to be opened: its chunks are copied, or its parked keys caught up. */
export function isBeingOpened(state: TableState): boolean {
  return state === 'copying' || state === 'catching-up'
}

/** Drains write such a table. */
export function isOpen(state: TableState): boolean {
  return state === 'live' || state === 'recopied'
}
