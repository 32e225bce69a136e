import { type KeptPlace, type RowKey, WHOLE_TABLE } from '@mylab-sync/core'
import { type EngineContext, throwIfStopped } from '../context.js'
import type { Model } from '../model/model.js'
import { differText } from '../report/problems.js'
import { compareKeys } from '../verify/compare-keys.js'
import { Moment } from '../verify/moment.js'
import { faultOfTable, REDEFINED, redefinedAt } from '../verify/obstacle.js'
import { verify } from '../verify/verify.js'
import type { VerifiedTable } from '../verify/verify-report.js'
import { blocking, type CutoverFinding } from './finding.js'

const PAGE_KEYS = 5_000
/** Keys that are gathered by table before they are compared: each table costs the same few statements for one key or hundreds. */
const GATHERED_KEYS = 50_000

/** What a comparison has found. */
export interface Compared {
  readonly findings: readonly CutoverFinding[]
  /** Tables that were compared in full. */
  readonly verified: readonly VerifiedTable[]
}

export interface TailResult extends Compared {
  /** Keys that were compared. */
  readonly keys: number
  /** Keys of the moment's own drains, which were not: the next tail begins with them. */
  readonly left: number
  /** Tables that all of them belong to, each with its greatest key that is one number. */
  readonly tables: ReadonlyMap<string, bigint>
  /** Tables carried as a whole that a drain has written or opened since. */
  readonly wholes: readonly string[]
  /** Everything up to this drain has been compared, and was equal. */
  readonly drain: number
  readonly model: Model
}

/**
 * Compares the rows that drains after `since` have written, and in full the tables that opened after it. Returns null if keys
 * of these drains are not kept any more. Tables that are carried as a whole are only named.
 */
export async function compareTail(context: EngineContext, model: Model, since: number): Promise<TailResult | null> {
  const tail = await compareKept(context, model, since)
  if (tail === null) return null
  const { differing, faults, reopened, ...result } = tail
  const findings = [
    ...[...differing].map(([table, rows]) => rowsDiffer(table, rows)),
    ...[...faults].map(([table, why]) => uncompared(table, why)),
  ]
  const full = await compareInFull(context, reopened)
  return { ...result, findings: [...findings, ...full.findings], verified: full.verified }
}

interface Kept extends Omit<TailResult, keyof Compared> {
  /** Numbers of rows. */
  readonly differing: ReadonlyMap<string, number>
  /** Why a table could not be compared. */
  readonly faults: ReadonlyMap<string, string>
  readonly reopened: readonly string[]
}

async function compareKept(context: EngineContext, model: Model, since: number): Promise<Kept | null> {
  await using moment = await Moment.open(context, model)
  if (!(await moment.target.history.keepsAfter(since))) return null
  const tail = new Tail(moment, since)
  await tail.read(() => throwIfStopped(context))
  await tail.leaveOutRedefined(context)
  return tail.result()
}

/** The keys that drains have recorded after `since`, as one moment shows them. */
class Tail {
  readonly #moment: Moment
  readonly #since: number
  readonly #reopened: ReadonlySet<string>
  readonly #greatest = new Map<string, bigint>()
  readonly #wholes = new Set<string>()
  readonly #differing = new Map<string, number>()
  readonly #faults = new Map<string, string>()
  #gathered = new Map<string, Set<RowKey>>()
  #count = 0
  #keys = 0
  #left = 0

  constructor(moment: Moment, since: number) {
    this.#moment = moment
    this.#since = since
    const isReopened = (table: string): boolean => (moment.states.get(table)?.openedDrain ?? 0) > since
    this.#reopened = new Set([...moment.model.tables.keys()].filter(isReopened))
  }

  async read(stop: () => void): Promise<void> {
    const { target, model, drains, quarantine } = this.#moment
    for (let place: KeptPlace | null = { drain: this.#since + 1, table: '', indexed: '' }; place !== null; ) {
      stop()
      const page = await target.history.keysAfter(place, PAGE_KEYS)
      for (const { drain, table, key } of page.keys) {
        if (!model.tables.has(table)) continue
        this.#note(table, key)
        // Each drain tries quarantined rows again.
        if (drain >= drains.first) this.#left += quarantine.find(table, key) === undefined ? 1 : 0
        else if (!model.isFullTable(table) && !this.#reopened.has(table)) this.#gather(table, key)
      }
      place = page.next
      if (place === null || this.#count >= GATHERED_KEYS) await this.#compare()
    }
  }

  #note(table: string, key: RowKey): void {
    if (key === WHOLE_TABLE) this.#wholes.add(table)
    const before = this.#greatest.get(table) ?? 0n
    const number = /^\d{1,20}$/.test(key) ? BigInt(key) : 0n
    this.#greatest.set(table, number > before ? number : before)
  }

  #gather(table: string, key: RowKey): void {
    const keys = this.#gathered.get(table) ?? new Set()
    if (keys.has(key)) return
    this.#gathered.set(table, keys.add(key))
    this.#count++
  }

  async #compare(): Promise<void> {
    for (const [table, keys] of this.#gathered) {
      if (this.#faults.has(table)) continue
      try {
        const found = await compareKeys(this.#moment, this.#moment.model.mapping(table), [...keys])
        if (found.length > 0) this.#differing.set(table, (this.#differing.get(table) ?? 0) + found.length)
      } catch (error) {
        this.#faults.set(table, faultOfTable(table, error).why)
      }
    }
    this.#keys += this.#count
    this.#gathered = new Map()
    this.#count = 0
  }

  /** Must run after all reads of the moment. */
  async leaveOutRedefined(context: EngineContext): Promise<void> {
    for (const table of await redefinedAt(context, this.#moment, [...this.#greatest.keys()]))
      this.#faults.set(table, REDEFINED)
    for (const table of this.#faults.keys()) this.#differing.delete(table)
  }

  result(): Kept {
    const { model, drains } = this.#moment
    const [wholes, reopened] = [new Set(this.#wholes), [] as string[]]
    for (const table of this.#reopened) {
      if (model.isFullTable(table)) wholes.add(table)
      else reopened.push(table)
    }
    return {
      differing: this.#differing,
      faults: this.#faults,
      reopened,
      keys: this.#keys,
      left: this.#left,
      tables: this.#greatest,
      wholes: [...wholes],
      drain: drains.first - 1,
      model,
    }
  }
}

/** Compares all rows of these tables. A table that cannot be compared is a finding of its own. */
export async function compareInFull(context: EngineContext, tables: readonly string[]): Promise<Compared> {
  if (tables.length === 0) return { findings: [], verified: [] }
  const { tables: verified } = await verify(context, { tables })
  return { findings: verified.flatMap(fullFindings), verified }
}

export function fullFindings({ table, notCompared, missing, surplus, different }: VerifiedTable): CutoverFinding[] {
  if (notCompared !== null) return [uncompared(table, notCompared)]
  const rows = missing + surplus + different
  return rows === 0 ? [] : [rowsDiffer(table, rows)]
}

function uncompared(table: string, why: string): CutoverFinding {
  return blocking('not-compared', table, {
    cause: `its rows cannot be compared: ${why}`,
    commands: ['mylab-sync database --once', `mylab-sync verify --table ${table}`],
  })
}

function rowsDiffer(table: string, rows: number): CutoverFinding {
  return blocking('rows-differ', table, {
    cause: differText(rows),
    commands: [`mylab-sync repair --table ${table}`],
  })
}
