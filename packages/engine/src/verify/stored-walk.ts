import { countFindings, type FindingsLimits } from './findings.js'
import { TableWalk } from './table-walk.js'
import type { WalkState } from './walk-state.js'

/** Another version of the program may have stored something else. */
const VERSION = 1

interface Stored {
  readonly version: number
  readonly state: WalkState
  /** How many of the rows that the pass has found were repaired. */
  readonly repaired: number
}

/** A walk that goes on where a step of any process has stored it. */
export class StoredWalk {
  readonly walk: TableWalk
  /** The pass begins with this step. */
  readonly isNew: boolean
  readonly #before: Pick<WalkState, 'generation' | 'moments' | 'failures'> & {
    readonly found: number
    readonly repaired: number
  }
  #repaired = 0

  constructor(table: string, stored: string | null, limits: FindingsLimits) {
    const known = stored === null ? null : (JSON.parse(stored) as Stored)
    const from = known?.version === VERSION ? known : null
    this.walk = new TableWalk(from?.state ?? table, { limits })
    this.isNew = from === null
    const { generation, moments, failures, findings } = this.walk.state
    this.#before = { generation, moments, failures, found: countFindings(findings), repaired: from?.repaired ?? 0 }
  }

  get table(): string {
    return this.walk.table
  }

  get hasMoved(): boolean {
    const { isDone, state } = this.walk
    const { moments, failures } = this.#before
    return isDone || state.moments !== moments || state.failures !== failures || this.hasRestarted
  }

  /** The table was defined anew, and the walk has begun again. */
  get hasRestarted(): boolean {
    return this.#before.generation !== null && this.#before.generation !== this.walk.state.generation
  }

  /** How many rows this step has found to differ. */
  get found(): number {
    return countFindings(this.walk.state.findings) - (this.hasRestarted ? 0 : this.#before.found)
  }

  /** How many rows the pass has left as differing so far. */
  get differing(): number {
    return Math.max(0, countFindings(this.walk.state.findings) - this.#repairedBefore - this.#repaired)
  }

  /** So many of those that this step has found were repaired. */
  noteRepaired(rows: number): void {
    this.#repaired = rows
  }

  /** For the next step; null: the pass has ended. */
  toStore(): string | null {
    if (this.walk.isDone) return null
    const stored: Stored = {
      version: VERSION,
      state: this.walk.state,
      repaired: this.#repairedBefore + this.#repaired,
    }
    return JSON.stringify(stored)
  }

  get #repairedBefore(): number {
    return this.hasRestarted ? 0 : this.#before.repaired
  }
}
