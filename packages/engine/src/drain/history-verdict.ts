import { type DrainName, DAMAGED_LOG, type LastDrain, type SourceSnapshot } from '@mylab-sync/core'

/** What one look at both sides tells about their common history (DESIGN 3.6). */
export interface HistoryFacts {
  readonly source: Pick<SourceSnapshot, 'identity' | 'lastDrain' | 'token'>
  readonly target: LastDrain
  /** Needed only where `isPlain` denies it. */
  readonly names: CommonNames
}

/** Drains of the target, of those whose names it keeps, that the source knows too. */
export interface CommonNames {
  /** The one that left the source's token. */
  readonly atToken: DrainName | null
  /** The latest one whose watermark the source holds. */
  readonly latest: DrainName | null
}

export const NO_NAMES: CommonNames = { atToken: null, latest: null }

/** Where both sides stand: what moves when anybody drains. */
interface Standing {
  readonly sourceDrain: number
  readonly token: string | null
  readonly targetDrain: number
  readonly identity: string | null
}

/** What earlier looks have seen, one after the other. */
export interface Watched {
  readonly standing: Standing
  /** Looks that found it moved since the one before. */
  readonly moves: number
}

/** How the two sides' histories relate. `common` is the latest drain that both hold. */
type Relation =
  /** Up to `common` the target holds what the source's own history says. */
  | { readonly kind: 'own'; readonly common: number }
  /** Everything has to be read again: somebody asked for it, or changed the change log by hand. */
  | { readonly kind: 'asked'; readonly problem: string }
  /** Another server answers: it was put in the other's place, or both are draining into this target. */
  | { readonly kind: 'other-source' }
  /**
   * The source holds marks of drains that the target does not know: the target was put back, both sides were, each to a
   * moment of its own, or another target is draining. `common` is null where the name of no common drain is kept.
   */
  | { readonly kind: 'unknown-marks'; readonly common: DrainName | null }

export type HistoryVerdict =
  /** Everything that the target's drains after `common` carried has to be read again. */
  | { readonly kind: 'go-on'; readonly last: LastDrain; readonly common: number }
  | { readonly kind: 'read-everything'; readonly last: LastDrain; readonly problem: string }
  /** Everything that the source's drains after this one marked becomes pending again. */
  | { readonly kind: 'take-back'; readonly to: DrainName }
  /** Only a later look tells a side that was put back from a second one that is draining. */
  | { readonly kind: 'look-again'; readonly watched: Watched }
  | { readonly kind: 'wrong-owner'; readonly other: 'source' | 'target' }

/**
 * An installation that is draining moves both sides at every look. One move or two may be another process of this
 * installation that found the same a moment ago, or a side that was put back once more.
 */
const MOVES_OF_ANOTHER = 3

const HARMED =
  'the change log at the source was emptied, replaced or changed by hand, and what its entries would have told is unknown'

/** The relation follows from the last drain alone: no names of earlier ones are needed. */
export function isPlain(facts: Omit<HistoryFacts, 'names'>): boolean {
  return plainRelation(facts) !== null
}

/**
 * Decides whether this installation still owns both the change log and the target. A second target or a second source,
 * made by copying one of the two, would hide changes from the other; a side that was put back from a backup or replaced
 * after a failover looks the same, and is legal. Time tells them apart: whoever drains moves both sides every few
 * seconds, and a side that was put back stands still.
 */
export function judgeHistory(facts: HistoryFacts, before: Watched | undefined): HistoryVerdict {
  const { target: last } = facts
  const relation = relationOf(facts)
  if (relation.kind === 'own') return { kind: 'go-on', last, common: relation.common }
  if (relation.kind === 'asked') return { kind: 'read-everything', last, problem: relation.problem }
  const standing = standingOf(facts)
  if (!before) return { kind: 'look-again', watched: { standing, moves: 0 } }
  if (hasMoved(relation.kind, before.standing, standing)) {
    const moves = before.moves + 1
    if (moves < MOVES_OF_ANOTHER) return { kind: 'look-again', watched: { standing, moves } }
    return { kind: 'wrong-owner', other: relation.kind === 'other-source' ? 'source' : 'target' }
  }
  if (relation.kind === 'other-source')
    return { kind: 'read-everything', last, problem: 'another server answers as the source' }
  if (relation.common !== null) return { kind: 'take-back', to: relation.common }
  return { kind: 'read-everything', last, problem: 'source and target have no drain in common that is still kept' }
}

function relationOf(facts: HistoryFacts): Relation {
  const plain = plainRelation(facts)
  if (plain) return plain
  const { atToken, latest } = facts.names
  // By its token, not its number: the source keeps its number when marks are taken back.
  if (atToken) return { kind: 'own', common: atToken.number }
  return { kind: 'unknown-marks', common: latest }
}

function plainRelation({ source, target: last }: Omit<HistoryFacts, 'names'>): Relation | null {
  if (last.identity !== null && last.identity !== source.identity) return { kind: 'other-source' }
  if (source.token === '') return { kind: 'asked', problem: 'all tables were asked to be read again' }
  if (source.token === DAMAGED_LOG) return { kind: 'asked', problem: HARMED }
  if (last.number === 0 && source.lastDrain === 0) return { kind: 'own', common: 0 }
  if (source.token === null) return { kind: 'own', common: 0 }
  return source.token === last.token ? { kind: 'own', common: last.number } : null
}

/** Whether the side moved that another installation would move. */
function hasMoved(kind: 'other-source' | 'unknown-marks', before: Standing, now: Standing): boolean {
  return kind === 'other-source'
    ? before.targetDrain !== now.targetDrain || before.identity !== now.identity
    : before.sourceDrain !== now.sourceDrain || before.token !== now.token
}

function standingOf({ source, target: last }: HistoryFacts): Standing {
  const { lastDrain: sourceDrain, token } = source
  return { sourceDrain, token, targetDrain: last.number, identity: last.identity }
}

export interface HistoryGap {
  /** The source lost the marks of drains after this number: their keys are read again. */
  readonly lostAfter: number | null
  /** Why everything has to be read again. */
  readonly problem: string | null
}

/** Which of the target's drains the source's history lacks, after a verdict that lets the drain go on. */
export function gapOf(
  verdict: Extract<HistoryVerdict, { kind: 'go-on' | 'read-everything' }>,
  /** `keepsKeys`: the target still keeps the keys of all drains after the common one. */
  kept: { readonly purgedDrain: number; readonly keepsKeys: boolean },
): HistoryGap {
  if (verdict.kind === 'read-everything') return { lostAfter: null, problem: verdict.problem }
  const { last, common } = verdict
  if (kept.purgedDrain > common)
    return { lostAfter: null, problem: 'the target went back further than the change log reaches' }
  if (common === last.number) return { lostAfter: null, problem: null }
  if (kept.keepsKeys) return { lostAfter: common, problem: null }
  return { lostAfter: null, problem: 'the source went back further than the keys of past drains are kept' }
}
