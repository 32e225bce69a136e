import { isOpen, type SourceSnapshot, type TargetTransaction } from '@mylab-sync/core'
import { intercept, type CallName, type Point, type PortCall, type Sides, type Watch } from './intercept.js'

/** A moment of the protocol, represented by a port call. */
interface Place {
  readonly point: Point
  /** Calls that must have come before, where others make the same call. */
  readonly following?: readonly CallName[]
  /** Calls after which it is another one. */
  readonly without?: readonly CallName[]
}

/** Where the tests interfere: between two steps that are each atomic. */
export const MOMENTS = {
  'install:registered': {
    point: 'commit:after',
    following: ['source.capture.install', 'tables.all', 'tables.stepAll'],
    without: ['tables.lock'],
  },
  'copy:asked': { point: 'drain.commit:after', following: ['drain.chunks.forgetCopy'] },
  'chunk:planned': { point: 'commit:after', following: ['chunks.add'] },
  'chunk:taken': { point: 'chunks.take:after' },
  'together:taken': { point: 'chunks.takeWhole:after' },
  'chunk:read': { point: 'snapshot.rows.readBlocks:batch', following: ['snapshot.fingerprintsOf'] },
  'chunk:written': { point: 'chunks.done:before' },
  'chunk:committed': { point: 'commit:after', following: ['chunks.done'] },
  'opening:indexed': { point: 'target.constraints.buildKeyIndexes:after' },
  'opening:surplus': {
    point: 'commit:after',
    following: ['history.addWatermark'],
    without: ['chunks.done', 'parked.remove'],
  },
  'opening:scanned': { point: 'commit:after', following: ['tables.lock', 'tables.all', 'tables.stepAll'] },
  'catch-up:reading': { point: 'parked.read:before' },
  'catch-up:begun': { point: 'parked.read:after' },
  'catch-up:applied': { point: 'parked.remove:before' },
  'catch-up:committed': { point: 'commit:after', following: ['parked.remove'] },
  'drain:locked': { point: 'drain.openSnapshot:before' },
  'drain:opened': { point: 'drain.openSnapshot:after' },
  'drain:begun': { point: 'drain.parked.read:before' },
  'drain:closed': { point: 'drain.parked.parkParents:before' },
  'drain:refreshed': { point: 'drain.snapshot.refresh:after' },
  'drain:applied': { point: 'drain.checkConstraints:before' },
  'drain:checked': { point: 'drain.quarantine.holdEntries:before' },
  'drain:committed': { point: 'drain.commit:after', following: ['drain.history.record'] },
  'drain:marked': { point: 'drain.snapshot.acknowledge:after' },
  'reconcile:triggers': { point: 'target.tables.loosen:before' },
  'reconcile:adapted': { point: 'target.constraints.buildKey:after' },
  'reconcile:asked': { point: 'drain.commit:after', following: ['drain.chunks.forgetCopy', 'target.tables.loosen'] },
} as const satisfies Readonly<Record<string, Place>>
export type Moment = keyof typeof MOMENTS

/** Null is what a call returns that has found nothing to do. */
function isAt({ point, following = [], without = [] }: Place, call: PortCall): boolean {
  const { follows, result } = call
  return point === call.point && result !== null && following.every(follows) && !without.some(follows)
}

type Acts = { readonly [M in Moment]?: (call: PortCall) => unknown }

/** Acts at these moments, every time. */
export function during(acts: Acts): Watch {
  return async (call) => {
    for (const moment of Object.keys(acts) as Moment[]) if (isAt(MOMENTS[moment], call)) await acts[moment]?.(call)
  }
}

export function watched<C extends Sides>(context: C, acts: Acts): C {
  return intercept(context, during(acts))
}

/** The table of the chunk that is taken, or that is read. */
export function tableOf({ result, args: [first] }: PortCall): string {
  const { table } = (result ?? {}) as { table?: string }
  return table ?? (first as { source: { name: string } }).source.name
}

export interface Compared {
  readonly snapshot: SourceSnapshot
  readonly target: TargetTransaction
  /** The tables that are open, as the drain's own transaction sees them. */
  readonly live: ReadonlySet<string>
}

/** Before each commit of a drain, inside its snapshot and its transaction: nothing is written after this. */
export function beforeCommit(compare: (at: Compared) => Promise<void>): Watch {
  let target: TargetTransaction | undefined
  return async ({ point, on, follows }) => {
    if (point === 'drain.history.record:after') target = on as TargetTransaction
    // By what it read: without the rule that the lock comes first, the snapshot is not opened under the lock.
    const isDrain = follows('drain.snapshot.entries.after') || follows('snapshot.entries.after')
    if (!isDrain || target === undefined || !point.endsWith('snapshot.end:before')) return
    const states = [...(await target.tables.all()).values()]
    const live = new Set(states.filter(({ state }) => isOpen(state)).map(({ table }) => table))
    const drain = { snapshot: on as SourceSnapshot, target, live }
    target = undefined
    await compare(drain)
  }
}
