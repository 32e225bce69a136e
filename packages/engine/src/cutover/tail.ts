import type { KeptPlace, RowKey } from '@mylab-sync/core'
import { type EngineContext, throwIfStopped } from '../context.js'
import type { Model } from '../model/model.js'
import { differText } from '../report/problems.js'
import { compareKeys } from '../verify/compare-keys.js'
import { Moment } from '../verify/moment.js'
import { faultOfTable, REDEFINED, redefinedAt } from '../verify/obstacle.js'
import { verify } from '../verify/verify.js'
import { blocking, type CutoverFinding } from './finding.js'

const PAGE_KEYS = 5_000

export interface TailResult {
  readonly findings: readonly CutoverFinding[]
  /** Keys that were compared, and those of the moment's own drains, which were not. */
  readonly keys: number
  /** Tables that they belong to, each with its greatest key that is one number. */
  readonly tables: ReadonlyMap<string, bigint>
  /** Everything up to this drain has been compared, and was equal. */
  readonly drain: number
  readonly model: Model
}

/**
 * Compares the rows that drains after `since` have written, and in full the tables that opened after it. Returns null if keys
 * of these drains are not kept any more. Tables that are carried as a whole are left to `compareWhole`.
 */
export async function compareTail(context: EngineContext, model: Model, since: number): Promise<TailResult | null> {
  const tail = await compareKept(context, model, since)
  if (tail === null) return null
  const { differing, faults, reopened, ...result } = tail
  const findings = [
    ...[...differing].map(([table, rows]) => rowsDiffer(table, rows)),
    ...[...faults].map(([table, why]) => notCompared(table, why)),
  ]
  return { ...result, findings: [...findings, ...(await compareWhole(context, reopened))] }
}

interface Kept extends Omit<TailResult, 'findings'> {
  /** Numbers of rows. */
  readonly differing: ReadonlyMap<string, number>
  /** Why a table could not be compared. */
  readonly faults: ReadonlyMap<string, string>
  readonly reopened: readonly string[]
}

async function compareKept(context: EngineContext, model: Model, since: number): Promise<Kept | null> {
  await using moment = await Moment.open(context, model)
  const { history } = moment.target
  if (!(await history.keepsAfter(since))) return null
  const keyed = [...moment.model.tables.keys()].filter((table) => !moment.model.isFullTable(table))
  const reopened = keyed.filter((table) => (moment.states.get(table)?.openedDrain ?? 0) > since)
  const compared = new Set(keyed.filter((table) => !reopened.includes(table)))
  const tables = new Map<string, bigint>()
  const differing = new Map<string, number>()
  const faults = new Map<string, string>()
  let keys = 0
  for (let place: KeptPlace | null = { drain: since + 1, table: '', indexed: '' }; place !== null; ) {
    throwIfStopped(context)
    const page = await history.keysAfter(place, PAGE_KEYS)
    keys += page.keys.length
    for (const [table, list] of byTable(page.keys)) {
      tables.set(table, greatest(list, tables.get(table) ?? 0n))
      if (!compared.has(table) || faults.has(table)) continue
      try {
        const found = await compareKeys(moment, moment.model.mapping(table), list)
        if (found.length > 0) differing.set(table, (differing.get(table) ?? 0) + found.length)
      } catch (error) {
        faults.set(table, faultOfTable(table, error).why)
      }
    }
    place = page.next
  }
  for (const table of await redefinedAt(context, moment, [...tables.keys()])) faults.set(table, REDEFINED)
  for (const table of faults.keys()) differing.delete(table)
  return { differing, faults, reopened, keys, tables, drain: moment.drains.first - 1, model: moment.model }
}

function greatest(keys: readonly RowKey[], least: bigint): bigint {
  let found = least
  for (const key of keys) if (/^\d{1,20}$/.test(key) && BigInt(key) > found) found = BigInt(key)
  return found
}

function byTable(keys: readonly { readonly table: string; readonly key: RowKey }[]): Map<string, RowKey[]> {
  const tables = new Map<string, Set<RowKey>>()
  for (const { table, key } of keys) tables.set(table, (tables.get(table) ?? new Set()).add(key))
  return new Map([...tables].map(([table, set]) => [table, [...set]]))
}

/** Compares these tables in full. A table that cannot be compared is a finding of its own. */
export async function compareWhole(context: EngineContext, tables: readonly string[]): Promise<CutoverFinding[]> {
  if (tables.length === 0) return []
  const report = await verify(context, { tables })
  return report.tables.flatMap(({ table, notCompared: why, missing, surplus, different }) => {
    if (why !== null) return [notCompared(table, why)]
    const rows = missing + surplus + different
    return rows === 0 ? [] : [rowsDiffer(table, rows)]
  })
}

function notCompared(table: string, why: string): CutoverFinding {
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
