import { matchesWildcards, MANY, ONE, codePointsOf } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'

const WILDCARDS: Readonly<Record<string, symbol>> = { '*': MANY, '?': ONE }

/** Tells which names fit one of these patterns: wildcards `*` and `?`, everything else literally; case counts. */
export function matcherOf(patterns: readonly string[]): (name: string) => boolean {
  const read = patterns.map((pattern) => codePointsOf(pattern).map((sign) => WILDCARDS[sign] ?? sign))
  return (name) => read.some((signs) => matchesWildcards(name, signs))
}

/** As `matcherOf`, but every name fits where there is no pattern at all. */
export function filterOf(patterns: readonly string[]): (name: string) => boolean {
  return patterns.length === 0 ? () => true : matcherOf(patterns)
}

/** Tells which tables the configuration's filters select. */
export function selectionOf({
  include,
  exclude,
}: Pick<EngineContext['options'], 'include' | 'exclude'>): (table: string) => boolean {
  const [isIncluded, isExcluded] = [matcherOf(include), matcherOf(exclude)]
  return (table) => isIncluded(table) && !isExcluded(table)
}
