import { isBeingOpened, isOpen, parksKeys, type TableProgress, type TableState } from '@mylab-sync/core'

/** By table, as one transaction has read them. */
export type TableStates = ReadonlyMap<string, TableProgress>

/** A table that the state does not know is `discovered`. */
export function stateOf(states: TableStates, table: string): TableState {
  return states.get(table)?.state ?? 'discovered'
}

/** Tables whose state is one of a kind, as `isOpen` names one. */
export function tablesThat(states: TableStates, isOne: (state: TableState) => boolean): string[] {
  return [...states.values()].filter(({ state }) => isOne(state)).map(({ table }) => table)
}

export function isTableOpen(states: TableStates, table: string): boolean {
  return isOpen(stateOf(states, table))
}

/** A table that the state does not know is on its way nowhere. */
export function isTableBeingOpened(states: TableStates, table: string): boolean {
  return isBeingOpened(stateOf(states, table))
}

/** What happens to its rows is written to the target, now or when it opens. */
export function isFollowed(state: TableState): boolean {
  return isOpen(state) || parksKeys(state)
}
