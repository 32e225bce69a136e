import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DAMAGED_LOG } from '@mylab-sync/core'
import fc from 'fast-check'
import { gapOf, type HistoryFacts, judgeHistory, NO_NAMES, type Watched } from './history-verdict.js'

const KEPT_DRAINS = 3
const KEYS = ['a', 'b', 'c', 'd']

/** What the source keeps and loses together: rows, change log, marks. */
interface SourceSide {
  identity: string
  token: string | null
  lastDrain: number
  purgedDrain: number
  entries: { key: string; drain: number | null }[]
  marks: { token: string; number: number }[]
  rows: Record<string, number>
}

interface TargetSide {
  last: HistoryFacts['target']
  drains: { number: number; token: string }[]
  keys: { number: number; key: string }[]
  keysFrom: number
  rows: Record<string, number>
}

type Step =
  | { readonly kind: 'write'; readonly key: string }
  /** `marked`: how many of its entries were marked before it died; null: it died before its mark. */
  | { readonly kind: 'drain'; readonly times: number; readonly marked: number | null }
  /** `isFullTable`: it was not killed before it removed the marks too. */
  | { readonly kind: 'purge'; readonly keptDrains: number; readonly isFullTable: boolean }
  | { readonly kind: 'save-source' | 'save-target' | 'restore-target'; readonly to: number }
  | { readonly kind: 'restore-source'; readonly to: number; readonly isOtherServer: boolean }
  | { readonly kind: 'empty-log'; readonly token: string }

const SLOTS = 2
const OLD_VERSION = SLOTS

const to = fc.nat(SLOTS - 1)
const STEPS: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('write' as const), key: fc.constantFrom(...KEYS) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('drain' as const),
      times: fc.constantFrom(1, 1, 1, KEPT_DRAINS + 1),
      marked: fc.constantFrom(Infinity, Infinity, Infinity, 0, 1, null),
    }),
  },
  fc.record({ kind: fc.constant('purge' as const), keptDrains: fc.nat(2), isFullTable: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('save-source' as const, 'save-target' as const), to }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restore-target' as const), to }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('restore-source' as const),
      to: fc.nat(OLD_VERSION),
      isOtherServer: fc.boolean(),
    }),
  },
  fc.record({ kind: fc.constant('empty-log' as const), token: fc.constantFrom('', DAMAGED_LOG) }),
)

const WRITE: Step = { kind: 'write', key: 'a' }
const WRITE_OTHER: Step = { kind: 'write', key: 'b' }
const DRAIN: Step = { kind: 'drain', times: 1, marked: Infinity }
const at = (kind: 'save-source' | 'save-target' | 'restore-target', slot: number): Step => ({ kind, to: slot })
const restoredSource = (slot: number): Step => ({ kind: 'restore-source', to: slot, isOtherServer: false })

/** What random steps seldom reach. */
const SCENES: readonly (readonly Step[])[] = [
  // Both sides go back to one moment, and the target then to a drain of the history that was given up.
  [
    at('save-source', 0),
    at('save-target', 0),
    WRITE,
    DRAIN,
    at('save-target', 1),
    restoredSource(0),
    at('restore-target', 0),
    WRITE_OTHER,
    DRAIN,
    at('restore-target', 1),
  ],
  // The source goes back to a version without tokens, further than keys are kept.
  [WRITE, { ...DRAIN, times: KEPT_DRAINS + 2 }, restoredSource(OLD_VERSION)],
  // The target goes back further than entries are kept, and a purge that was killed has left the marks.
  [
    at('save-target', 0),
    WRITE,
    DRAIN,
    WRITE_OTHER,
    DRAIN,
    { kind: 'purge', keptDrains: 0, isFullTable: false },
    at('restore-target', 0),
  ],
  // Entries were lost, a drain has read everything, and the target goes back to before that.
  [at('save-target', 0), WRITE, { kind: 'empty-log', token: DAMAGED_LOG }, DRAIN, at('restore-target', 0)],
]

/** Both sides of one installation whose clocks may be turned back at any time, one by one or both. */
class World {
  source: SourceSide
  target: TargetSide
  readonly #sources: SourceSide[]
  readonly #targets: TargetSide[]
  #names = 0

  constructor() {
    const rows = Object.fromEntries(KEYS.map((key) => [key, 0]))
    const token = this.#name()
    const last = { number: 0, token, consistentAsOf: null, identity: null }
    this.source = { identity: 's', token, lastDrain: 0, purgedDrain: 0, entries: [], marks: [], rows }
    this.target = { last, drains: [{ number: 0, token }], keys: [], keysFrom: 0, rows: { ...rows } }
    // Until the first drain only the watermarks of copies reveal another server; this verdict does not use them.
    this.#drain(Infinity)
    // One of a version that left no tokens yet.
    this.#sources = [this.source.token, this.source.token, null].map((at) =>
      structuredClone({ ...this.source, token: at }),
    )
    this.#targets = [0, 1].map(() => structuredClone(this.target))
  }

  #name(): string {
    return `token ${this.#names++}`
  }

  take(step: Step): void {
    const { source, target } = this
    switch (step.kind) {
      case 'write':
        source.rows[step.key] = ++this.#names
        source.entries.push({ key: step.key, drain: null })
        break
      case 'drain':
        for (let time = 0; time < step.times; time++) this.#drain(step.marked)
        break
      case 'purge':
        this.#purge(source.lastDrain - step.keptDrains, step.isFullTable)
        break
      case 'save-source':
        this.#sources[step.to] = structuredClone(source)
        break
      case 'save-target':
        this.#targets[step.to] = structuredClone(target)
        break
      case 'restore-source':
        this.source = structuredClone(this.#sources[step.to] ?? source)
        if (step.isOtherServer) this.#becomeOtherServer()
        break
      case 'restore-target':
        this.target = structuredClone(this.#targets[step.to] ?? target)
        break
      case 'empty-log':
        source.entries = []
        source.token = step.token
    }
  }

  facts(): HistoryFacts {
    const { source, target } = this
    const known = target.drains.filter(({ number }) => number <= target.last.number)
    const isMarked = (drain: { number: number; token: string }): boolean =>
      source.marks.some((mark) => mark.number === drain.number && mark.token === drain.token)
    const atToken = known.find(({ token }) => token === source.token) ?? null
    const latest = known.filter(isMarked).at(-1) ?? null
    return { source, target: target.last, names: { atToken, latest } }
  }

  /** Its rows need not be those that its change log describes. */
  #becomeOtherServer(): void {
    this.source.identity = this.#name()
    for (const key of KEYS) this.source.rows[key] = this.#names
  }

  /** As a drain does it with both sides standing still. */
  #drain(marked: number | null): void {
    let before: Watched | undefined
    for (let looks = 0; ; looks++) {
      assert.ok(looks < 5, 'the judgement comes to no end')
      const verdict = judgeHistory(this.facts(), before)
      if (verdict.kind === 'look-again') before = verdict.watched
      else if (verdict.kind === 'take-back') {
        this.#takeBack(verdict.to)
        before = undefined
      } else {
        assert.notEqual(verdict.kind, 'wrong-owner')
        if (verdict.kind === 'wrong-owner') return
        const { purgedDrain } = this.source
        const keepsKeys = verdict.kind === 'go-on' && verdict.common + 1 >= this.target.keysFrom
        this.#carry(gapOf(verdict, { purgedDrain, keepsKeys }), marked)
        assert.deepEqual(this.target.rows, this.source.rows)
        return
      }
    }
  }

  #takeBack(to: { number: number; token: string }): void {
    const { source } = this
    source.token = to.token
    source.marks = source.marks.filter(({ number }) => number <= to.number)
    for (const entry of source.entries) if (entry.drain !== null && entry.drain > to.number) entry.drain = null
  }

  #carry({ lostAfter, problem }: ReturnType<typeof gapOf>, marked: number | null): void {
    const { source, target } = this
    const entries = source.entries.filter(({ drain }) => drain === null)
    const lost = target.keys.filter(({ number }) => lostAfter !== null && number > lostAfter)
    const dirty = problem === null ? new Set([...entries, ...lost].map(({ key }) => key)) : new Set(KEYS)
    for (const key of dirty) target.rows[key] = source.rows[key] ?? 0
    const number = Math.max(target.last.number, source.lastDrain) + 1
    const token = this.#name()
    this.#record({ number, token }, dirty)
    if (marked === null) return
    for (const entry of entries.slice(0, marked)) entry.drain = number
    source.marks.push({ number, token })
    if (source.token === '' || source.token === DAMAGED_LOG) source.purgedDrain = number
    source.token = token
    source.lastDrain = number
  }

  /** Of the last drains alone the keys are kept, and the name of one drain before those. */
  #record({ number, token }: { number: number; token: string }, dirty: ReadonlySet<string>): void {
    const { source, target } = this
    target.last = { number, token, consistentAsOf: null, identity: source.identity }
    target.drains.push({ number, token })
    target.keys.push(...[...dirty].map((key) => ({ number, key })))
    target.keysFrom = Math.max(target.keysFrom, number - KEPT_DRAINS + 1)
    target.keys = target.keys.filter((key) => key.number >= target.keysFrom)
    const before = Math.max(...target.drains.map((d) => d.number).filter((n) => n < target.keysFrom))
    target.drains = target.drains.filter((drain) => drain.number >= before)
  }

  #purge(upTo: number, isFullTable: boolean): void {
    const { source } = this
    const note = (drains: readonly number[]): void => {
      source.purgedDrain = Math.max(source.purgedDrain, ...drains.filter((drain) => drain <= upTo))
    }
    note(source.entries.map(({ drain }) => drain ?? 0))
    source.entries = source.entries.filter(({ drain }) => drain === null || drain > upTo)
    if (!isFullTable) return
    note(source.marks.map(({ number }) => number))
    source.marks = source.marks.filter(({ number }) => number >= source.purgedDrain)
  }
}

test('whatever goes back in time, the next drain makes the target equal again', () => {
  fc.assert(
    fc.property(fc.array(STEPS, { maxLength: 30, size: 'max' }), (steps) => {
      const world = new World()
      for (const step of [...steps, DRAIN]) world.take(step)
    }),
    { numRuns: 1_000, examples: SCENES.map((steps) => [[...steps]]) },
  )
})

/** Facts of a target at drain 5 whose names say the same as its source's. */
function facts(change: {
  readonly source?: Partial<HistoryFacts['source']>
  readonly target?: Partial<HistoryFacts['target']>
  readonly names?: Partial<HistoryFacts['names']>
}): HistoryFacts {
  return {
    source: { identity: 's', lastDrain: 5, token: 'five', ...change.source },
    target: { number: 5, token: 'five', consistentAsOf: null, identity: 's', ...change.target },
    names: { ...NO_NAMES, ...change.names },
  }
}

test('a history that is whole costs nothing, and one with a gap only what is in it', () => {
  const gap = (at: HistoryFacts, kept = { purgedDrain: 2, keepsKeys: true }): ReturnType<typeof gapOf> | string => {
    const verdict = judgeHistory(at, undefined)
    return verdict.kind === 'go-on' || verdict.kind === 'read-everything' ? gapOf(verdict, kept) : verdict.kind
  }
  const three = { number: 3, token: 'three' }
  assert.deepEqual(gap(facts({})), { lostAfter: null, problem: null })
  const behind = facts({ source: { lastDrain: 3, token: 'three' }, names: { atToken: three } })
  assert.deepEqual(gap(behind), { lostAfter: 3, problem: null })
  assert.match(String(Object(gap(behind, { purgedDrain: 2, keepsKeys: false })).problem), /^the source went back/)
  assert.match(String(Object(gap(behind, { purgedDrain: 4, keepsKeys: true })).problem), /^the target went back/)
})

test('a side that keeps moving has another owner; one that stands still was restored', () => {
  const kinds = [
    { other: 'target', still: 'take-back', at: (n: number) => facts({ source: { token: `t${n}` }, names: { latest: { number: 3, token: 'three' } } }) },
    { other: 'source', still: 'read-everything', at: (n: number) => facts({ source: { identity: 'x' }, target: { number: 5 + n } }) },
  ] as const // biome-ignore format: two cases
  for (const { other, still, at } of kinds)
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 3, maxLength: 5 }), (moves) => {
        let look = judgeHistory(at(0), undefined)
        assert.equal(look.kind, 'look-again')
        let moved = 0
        for (const isMoved of moves) {
          if (look.kind !== 'look-again') break
          if (isMoved) moved++
          look = judgeHistory(at(moved), look.watched)
        }
        const first = moves.indexOf(false)
        if (first === -1 || first > 2) assert.deepEqual(look, { kind: 'wrong-owner', other })
        else assert.equal(look.kind, still)
      }),
      { numRuns: 50 },
    )
})
