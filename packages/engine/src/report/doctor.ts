import { type Finding, type Source, SyncError, type Target } from '@mylab-sync/core'
import type { EngineOptions } from '../context.js'
import { longHeld } from '../drain/drain-lock.js'
import { wholeModel } from '../model/load.js'
import type { Model } from '../model/model.js'

/** Either side may be unreachable: its error then becomes a finding, and the other side is still checked. */
export interface DoctorInput {
  readonly source: Source | SyncError
  readonly target: Target | SyncError
  readonly options: EngineOptions
  /** Checks Redis; absent without an address. */
  readonly redis?: () => Promise<Finding[]>
}

export interface Diagnosis {
  readonly ready: boolean
  readonly sentence: string
  /** Errors first, then warnings and notes, each in the order of the checks. */
  readonly findings: readonly Finding[]
}

const SEVERITIES = ['error', 'warning', 'note'] as const

/** Checks both servers, the tables, the clocks and Redis; changes nothing. */
export async function doctor(input: DoctorInput): Promise<Diagnosis> {
  const findings: Finding[] = []
  const { source, target, options } = input
  let model: Model | null = null
  if (source instanceof SyncError) findings.push(asFinding(source, 'source'))
  else {
    model = await orFinding(wholeModel({ source, options }, { tryTables: true }), 'source', findings)
    findings.push(...(await looked(() => sourceFindings(source, model), 'source')))
  }
  if (target instanceof SyncError) findings.push(asFinding(target, 'target'))
  else findings.push(...(await looked(() => targetFindings(target, model), 'target')))
  findings.push(...(await clocks(input)))
  if (input.redis) findings.push(...(await looked(input.redis, 'redis')))
  return diagnosis(findings)
}

function diagnosis(found: readonly Finding[]): Diagnosis {
  const findings = SEVERITIES.flatMap((severity) => found.filter((finding) => finding.severity === severity))
  const count = (severity: Finding['severity']): number => found.filter((f) => f.severity === severity).length
  const ready = count('error') === 0
  return { ready, sentence: sentence(count('error'), count('warning'), count('note')), findings }
}

function sentence(errors: number, warnings: number, notes: number): string {
  const counted = (n: number, word: string): string[] => (n === 0 ? [] : [`${n} ${word}${n === 1 ? '' : 's'}`])
  const rest = [...counted(warnings, 'warning'), ...counted(notes, 'note')].join(' and ')
  if (errors > 0)
    return `Not ready: fix ${counted(errors, 'error').join('')} first${rest === '' ? '' : `; also ${rest}`}.`
  if (rest === '') return 'Ready: both servers have all that is needed.'
  return warnings === 0 ? `Ready; ${rest} to know.` : `Ready, but read first: ${rest}.`
}

async function sourceFindings(source: Source, model: Model | null): Promise<Finding[]> {
  if (model === null) return source.admin.preflight([])
  const captured = model.captureOnly.flatMap((name) => model.keyed(name) ?? [])
  const found = await source.admin.preflight([...model.tables.values(), ...captured])
  return [...found, ...selection(model), ...refusals(model), ...parents(model)]
}

function selection(model: Model): Finding[] {
  if (model.tables.size + model.refused.length > 0) return []
  const { tables, database } = model.catalog
  return [
    {
      code: 'no-table',
      severity: 'error',
      side: 'source',
      cause:
        tables.length === 0
          ? `the account sees no table in database ${database}`
          : `tables.include and tables.exclude leave none of the ${tables.length} tables of database ${database}`,
      remedy:
        tables.length === 0 ? 'name another database, or grant SELECT on it' : 'mylab-sync plan shows what they select',
    },
  ]
}

function refusals(model: Model): Finding[] {
  return model.refused.map(({ table, column, reason, remedy }) => ({
    code: 'table-refused',
    severity: 'error',
    side: 'source',
    cause: `${table}${column === null ? '' : `.${column}`} cannot be carried: ${reason}`,
    remedy: remedy === '' ? `exclude it: add ${table} to tables.exclude` : remedy,
  }))
}

function parents(model: Model): Finding[] {
  if (model.captureOnly.length === 0) return []
  return [
    {
      code: 'capture-only-parents',
      severity: 'note',
      side: 'source',
      cause: `${model.captureOnly.join(', ')}: not carried, but gets triggers, since deleting or changing its rows changes rows of tables that are`,
      remedy: 'nothing to do; adding it to tables.include would carry it too',
    },
  ]
}

async function targetFindings(target: Target, model: Model | null): Promise<Finding[]> {
  const found = await target.admin.preflight([...(model?.tables.values() ?? [])])
  if (found.some(({ severity }) => severity === 'error')) return found
  // Throws if a newer program wrote the state.
  if (!(await orFinding(target.admin.migrated(), 'target', found))) return found
  const held = longHeld(await target.lockHolder('drain'))
  return held === null
    ? found
    : [
        ...found,
        {
          code: 'target-lock-held',
          severity: 'warning',
          side: 'target',
          cause: `${held}: nothing else is drained until it ends`,
          remedy:
            'see what that process does in pg_stat_activity, and end it if it is none of ours: SELECT pg_terminate_backend(..)',
        },
      ]
}

/** Lags are differences between the source's clock and this host's, so a wrong clock distorts them. */
const CLOCK_LIMIT_MS = 2_000

async function clocks({ source, target }: DoctorInput): Promise<Finding[]> {
  const sides = [
    ['source', source],
    ['target', target],
  ] as const
  const ahead: [string, number][] = []
  for (const [side, server] of sides)
    if (!(server instanceof SyncError)) ahead.push([`the ${side}'s clock`, await server.admin.clockAheadMs()])
  return clockFindings(new Map([...ahead, ["this host's clock", 0]]))
}

/** Reports the two clocks furthest apart. `ahead`: for each clock, by how many milliseconds it is ahead of this host's. */
export function clockFindings(ahead: ReadonlyMap<string, number>): Finding[] {
  const sorted = [...ahead].sort(([, a], [, b]) => a - b)
  const [first, last] = [sorted[0], sorted.at(-1)]
  if (first === undefined || last === undefined || last[1] - first[1] < CLOCK_LIMIT_MS) return []
  return [
    {
      code: 'clock-difference',
      severity: 'warning',
      side: 'host',
      cause: `${last[0]} is ${((last[1] - first[1]) / 1000).toFixed(1)} s ahead of ${first[0]}: lags and ages are shown wrong by that much; rows are not affected`,
      remedy: 'timedatectl set-ntp true on the hosts concerned',
    },
  ]
}

function asFinding({ code, text, remedy }: SyncError, side: Finding['side']): Finding {
  return {
    code,
    severity: 'error',
    side,
    cause: text,
    remedy: remedy ?? 'see the message',
  }
}

async function looked(look: () => Promise<Finding[]>, side: Finding['side']): Promise<Finding[]> {
  const found: Finding[] = []
  return (await orFinding(look(), side, found)) ?? found
}

/** Turns a SyncError into a finding and returns null; rethrows any other error, which is a defect. */
async function orFinding<T>(work: Promise<T>, side: Finding['side'], into: Finding[]): Promise<T | null> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof SyncError)) throw error
    into.push(asFinding(error, side))
    return null
  }
}
