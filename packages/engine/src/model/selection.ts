import { matchesWildcards, MANY, ONE, codePointsOf } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'

const WILDCARDS: Readonly<Record<string, symbol>> = { '*': MANY, '?': ONE }

/** Returns a predicate for names that match one of these patterns: `*` and `?` are wildcards, matching is case-sensitive. */
export function matcherOf(patterns: readonly string[]): (name: string) => boolean {
  const read = patterns.map((pattern) => codePointsOf(pattern).map((sign) => WILDCARDS[sign] ?? sign))
  return (name) => read.some((signs) => matchesWildcards(name, signs))
}

/** As `matcherOf`, but every name matches if there is no pattern. */
export function filterOf(patterns: readonly string[]): (name: string) => boolean {
  return patterns.length === 0 ? () => true : matcherOf(patterns)
}

/** Returns a predicate for tables that the configuration's filters select. */
export function selectionOf({
  include,
  exclude,
}: Pick<EngineContext['options'], 'include' | 'exclude'>): (table: string) => boolean {
  const [isIncluded, isExcluded] = [matcherOf(include), matcherOf(exclude)]
  return (table) => isIncluded(table) && !isExcluded(table)
}
