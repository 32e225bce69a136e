import { type DrainName, DAMAGED_LOG, type LastDrain, type SourceSnapshot } from '@mylab-sync/core'

/** The facts about both sides' common history, read at one moment (DESIGN 3.6). */
export interface HistoryFacts {
  readonly source: Pick<SourceSnapshot, 'identity' | 'lastDrain' | 'token'>
  readonly target: LastDrain
  /** Needed only if `isPlain` returns false. */
  readonly names: CommonNames
}

/** Drains that both sides know, among those whose names the target keeps. */
export interface CommonNames {
  /** The drain that left the source's token. */
  readonly atToken: DrainName | null
  /** The latest drain whose watermark the source holds. */
  readonly latest: DrainName | null
}

export const NO_NAMES: CommonNames = { atToken: null, latest: null }

/** The positions of both sides, which every drain by any process moves. */
interface Standing {
  readonly sourceDrain: number
  readonly token: string | null
  readonly targetDrain: number
  readonly identity: string | null
}

/** What consecutive earlier looks observed. */
export interface Watched {
  readonly standing: Standing
  /** How many looks found the standing moved since the look before. */
  readonly moves: number
}

/** The relation between the two sides' histories. `common` is the latest drain that both hold. */
type Relation =
  /** The target's drains up to `common` belong to the source's history. */
  | { readonly kind: 'own'; readonly common: number }
  /** Everything must be read again: on request, or because the change log was changed manually. */
  | { readonly kind: 'asked'; readonly problem: string }
  /** A different server answers: it replaced the previous one, or both are drained into this target. */
  | { readonly kind: 'other-source' }
  /**
   * The source holds marks of drains that the target does not know: the target was restored, both sides were restored to
   * different moments, or another target is draining. `common` is null if no common drain's name is kept.
   */
  | { readonly kind: 'unknown-marks'; readonly common: DrainName | null }

export type HistoryVerdict =
  /** Everything that the target's drains after `common` applied must be read again. */
  | { readonly kind: 'go-on'; readonly last: LastDrain; readonly common: number }
  | { readonly kind: 'read-everything'; readonly last: LastDrain; readonly problem: string }
  /** Everything that the source's drains after this one marked becomes pending again. */
  | { readonly kind: 'take-back'; readonly to: DrainName }
  /** Only a later look distinguishes a restored side from a second installation that is draining. */
  | { readonly kind: 'look-again'; readonly watched: Watched }
  | { readonly kind: 'wrong-owner'; readonly other: 'source' | 'target' }

/**
 * A draining installation moves both sides between any two looks. One or two moves may come from another process of this
 * installation that detected the same a moment ago, or from a side that was restored once more.
 */
const MOVES_OF_ANOTHER = 3

const HARMED =
  'the change log at the source was emptied, replaced or changed by hand, and which changes are missing is unknown'

/** Whether the last drain alone determines the relation, so that no names of earlier drains are needed. */
export function isPlain(facts: Omit<HistoryFacts, 'names'>): boolean {
  return plainRelation(facts) !== null
}

/**
 * Decides whether this installation still owns both the change log and the target. A second target or a second source,
 * made by copying one of the two, would hide changes from the other; a side that was restored from a backup or replaced
 * after a failover looks the same, and is legitimate. Time distinguishes them: an installation that drains moves both sides
 * every few seconds, and a restored side stands still.
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
    return { kind: 'read-everything', last, problem: 'the source is a different server now' }
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
  if (source.token === '') return { kind: 'asked', problem: 'a new read of all tables was requested' }
  if (source.token === DAMAGED_LOG) return { kind: 'asked', problem: HARMED }
  if (last.number === 0 && source.lastDrain === 0) return { kind: 'own', common: 0 }
  if (source.token === null) return { kind: 'own', common: 0 }
  return source.token === last.token ? { kind: 'own', common: last.number } : null
}

/** Whether the side that another installation would move has moved. */
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
  /** Why everything must be read again. */
  readonly problem: string | null
}

/** Returns which of the target's drains the source's history lacks, for a verdict that lets the drain continue. */
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
