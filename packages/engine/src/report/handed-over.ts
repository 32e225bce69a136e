import { counted, type CutoverState } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { Problem } from './problems.js'

/** Where the installation is on its way from following the source to replacing it. */
export interface HandOver extends CutoverState {
  /** The source refuses captured writes. */
  readonly isForbidden: boolean
}

/** Looks at the source only if a cutover was begun. */
export async function handOverOf({ source, target }: EngineContext): Promise<HandOver> {
  const state = await target.cutover.state()
  return { ...state, isForbidden: state.since !== null && (await source.writes.isForbidden()) }
}

/** Returns what the status says first; null while the source is followed. */
export function handedOver({ phase, since }: HandOver, pending: number): string | null {
  if (phase !== 'done') return null
  const lost = pending === 0 ? '' : ` ${changes(pending)} written to the source since, and not applied.`
  return `The application was cut over to PostgreSQL at ${since ?? 'an unknown time'}; nothing of the source is applied any more.${lost}`
}

const changes = (count: number): string => `${counted(count, 'change')} ${count === 1 ? 'was' : 'were'}`

const FINISH = 'mylab-sync cutover goes on with it; mylab-sync cutover --abort goes back to following.'

export function handOverProblems({ phase, isForbidden }: HandOver, pending: number): Problem[] {
  if (phase === 'done' && pending > 0)
    return [
      {
        table: null,
        code: 'source-written-after-cutover',
        text: `${changes(pending)} written to the source after the cutover; PostgreSQL does not have them.`,
        remedy:
          'Stop whoever still writes the source. mylab-sync database --check-pending names the tables; enter the changes in PostgreSQL, or go back: mylab-sync cutover --abort',
      },
    ]
  if (phase === 'taken-back')
    return [
      {
        table: null,
        code: 'cutover-taken-back',
        text: 'A cutover was taken back, and rows that PostgreSQL got meanwhile may still be there.',
        remedy: 'mylab-sync cutover --abort compares all rows, and reads again those that differ.',
      },
    ]
  if (phase === 'following' && isForbidden)
    return [
      {
        table: null,
        code: 'source-read-only',
        text: 'The source is read-only for a cutover that has not ended.',
        remedy: FINISH,
      },
    ]
  return []
}
