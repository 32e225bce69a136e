import { type ConstraintState, counted, type TableProgress, type TableState } from '@mylab-sync/core'

/** The kind of a problem, for programs to decide by: `table-` and the state, unless a more specific code fits. */
export type ProblemCode =
  | 'changes-stalled'
  | 'table-waits'
  | `table-${TableState}`
  | 'rows-quarantined'
  | 'rows-differ'
  | 'constraint-not-held'
  | 'source-written-after-cutover'
  | 'source-read-only'
  | 'cutover-taken-back'

/** A problem for a person to investigate. `text` and `remedy` are for people: no program reads them. */
export interface Problem {
  /** The source's name of the table, or the target's if a constraint is not held; null: no particular table. */
  readonly table: string | null
  readonly code: ProblemCode
  readonly text: string
  readonly remedy: string | null
}

/** Drains follow each other in well under a second; a change that waits this long is not being drained. */
const STALLED_MS = 60_000

type Known = Pick<TableProgress, 'table' | 'state' | 'problem' | 'waits'> & {
  readonly quarantined: number
  readonly rowsDifferent: number
}

/** Returns every problem: the installation's, then those of its tables, then those of the target's constraints. */
export function problemsOf({
  lagMs,
  tables,
  constraints,
}: {
  /** Age of the oldest pending change; null: no change is pending. */
  readonly lagMs: number | null
  readonly tables: readonly Known[]
  readonly constraints: readonly ConstraintState[]
}): Problem[] {
  return [
    ...stalled(lagMs),
    ...tables.flatMap((status) => [...ofTable(status), ...ofQuarantine(status), ...ofVerification(status)]),
    ...constraints.filter(({ state }) => state !== 'validated').map(ofConstraint),
  ]
}

function stalled(lagMs: number | null): Problem[] {
  if (lagMs === null || lagMs < STALLED_MS) return []
  return [
    {
      table: null,
      code: 'changes-stalled',
      text: `The oldest change has waited for ${Math.round(lagMs / 1000)} s.`,
      remedy: 'Make sure that a drain runs: mylab-sync database --daemon, a worker, or cron.',
    },
  ]
}

function ofTable({ table, state, problem, waits }: Known): Problem[] {
  if (problem !== null && waits) return [{ table, code: 'table-waits', text: problem, remedy: RUN_STATEMENT }]
  if (problem === null && !isWrong(state)) return []
  const remedy = REMEDIES[state]?.(table) ?? null
  return [{ table, code: `table-${state}`, text: problem ?? `is ${state}`, remedy }]
}

function isWrong(state: TableState): boolean {
  return state === 'broken' || state === 'suspect' || state === 'gone'
}

const RUN_STATEMENT = 'Run the named statement in the target; then the table is copied again automatically.'

const REMEDIES: Readonly<Partial<Record<TableState, (table: string) => string>>> = {
  broken: (table) => `Remove the cause, then copy it again: mylab-sync initial --table ${table}`,
  suspect: (table) =>
    `A running daemon or worker copies it again in place; at once: mylab-sync initial --table ${table}`,
  refused: () => 'Change the table as described, or exclude it: tables.exclude in mylab-sync.yaml.',
  gone: () =>
    'It was dropped at the source; its rows stay in the target until you remove them. Then exclude it: tables.exclude in mylab-sync.yaml.',
}

function ofQuarantine({ table, quarantined }: Known): Problem[] {
  if (quarantined === 0) return []
  const them = quarantined === 1 ? 'it as it is' : 'them as they are'
  return [
    {
      table,
      code: 'rows-quarantined',
      text: `${counted(quarantined, 'row')} ${quarantined === 1 ? 'is' : 'are'} quarantined`,
      remedy: `PostgreSQL cannot hold ${them}. Fix the rows in the source; a changed row is retried automatically. mylab-sync show-errors --table ${table} lists them.`,
    },
  ]
}

function ofVerification({ table, rowsDifferent }: Known): Problem[] {
  if (rowsDifferent === 0) return []
  const remedy = `Somebody else has written into the target, or a value was lost on the way. Have the rows read again: mylab-sync repair --table ${table}`
  return [{ table, code: 'rows-differ', text: differText(rowsDifferent), remedy }]
}

export function differText(rows: number): string {
  return `${counted(rows, 'row')} ${rows === 1 ? 'differs' : 'differ'} from the source`
}

function ofConstraint(constraint: ConstraintState): Problem {
  return {
    table: constraint.table,
    code: 'constraint-not-held',
    text: constraintText(constraint),
    remedy:
      'Fix the rows that violate it in the source; then the constraint is re-created automatically. All rows are in the target.',
  }
}

/** Describes the state of a constraint without naming its table. */
export function constraintText({ kind, name, state, detail }: ConstraintState): string {
  return `${kind} ${name} is ${state}${detail === null ? '' : `: ${detail}`}`
}
