import { isBeingOpened, isOpen, parksKeys, type TableProgress, type TableState } from '@mylab-sync/core'

/** Progress by table, as read by one transaction. */
export type TableStates = ReadonlyMap<string, TableProgress>

/** Returns `discovered` for a table that the state tables do not know. */
export function stateOf(states: TableStates, table: string): TableState {
  return states.get(table)?.state ?? 'discovered'
}

/** Returns the tables whose state satisfies a predicate such as `isOpen`. */
export function tablesThat(states: TableStates, isOne: (state: TableState) => boolean): string[] {
  return [...states.values()].filter(({ state }) => isOne(state)).map(({ table }) => table)
}

export function isTableOpen(states: TableStates, table: string): boolean {
  return isOpen(stateOf(states, table))
}

/** Returns false for a table that the state tables do not know. */
export function isTableBeingOpened(states: TableStates, table: string): boolean {
  return isBeingOpened(stateOf(states, table))
}

/** Changes to the rows of such a table are written to the target, now or when it opens. */
export function isFollowed(state: TableState): boolean {
  return isOpen(state) || parksKeys(state)
}
