import { type ConstraintState, counted, isOpen, type Missing, type TableState } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import { isTransactional, type Model } from '../model/model.js'
import { constraintText } from '../report/problems.js'
import type { StatusReport, TableStatus } from '../report/status.js'
import { blocking, type CutoverFinding } from './finding.js'
import { cutoverTables } from './tables.js'

/** What keeps the target from equalling the source: tables, rows and constraints. */
export async function stateFindings(
  context: EngineContext,
  model: Model,
  { tables }: Pick<StatusReport, 'tables'>,
): Promise<CutoverFinding[]> {
  const constraints = await context.target.constraints.all()
  return [
    ...tables.flatMap((table) => [...ofState(table), ...ofQuarantine(table)]),
    ...constraints
      .filter(({ state }) => state !== 'validated')
      .map((constraint) => ofConstraint(context, model, constraint)),
    ...tables.flatMap(({ table, state }) => ofCapture(model, table, state)),
  ]
}

const COMMANDS: Readonly<Partial<Record<TableState, (table: string) => readonly string[]>>> = {
  discovered: (table) => [`mylab-sync initial --create-tables --table ${table}`],
  capturing: (table) => [`mylab-sync initial --create-tables --table ${table}`],
  copying: () => ['mylab-sync initial --resume'],
  'catching-up': () => ['mylab-sync initial --resume'],
  paused: (table) => [`mylab-sync resume --table ${table}`],
  suspect: () => ['mylab-sync database --once'],
  copied: (table) => [`mylab-sync setup-triggers --table ${table}`, 'mylab-sync database --once'],
  broken: (table) => [`mylab-sync initial --table ${table}`],
}

function ofState({ table, state, problem, waits }: TableStatus): CutoverFinding[] {
  if (isOpen(state)) return []
  const cause = problem ?? `is ${state}`
  if (waits)
    return [{ code: 'table-waits', severity: 'blocks', table, cause, on: 'target', when: 'before', sql: [cause] }]
  const commands = COMMANDS[state]?.(table)
  // Its rows stay in the target, and the source cannot change them any more.
  if (state === 'gone')
    return [{ code: 'table-gone', severity: 'note', table, cause, on: 'target', when: 'after', sql: [] }]
  return [blocking(`table-${state}`, table, { cause, commands: commands ?? [EXCLUDE] })]
}

const EXCLUDE = '# change the table as described, or add it to tables.exclude in mylab-sync.yaml'

function ofQuarantine({ table, quarantined }: TableStatus): CutoverFinding[] {
  if (quarantined === 0) return []
  return [
    blocking('rows-quarantined', table, {
      cause: `${counted(quarantined, 'row')} of the source ${quarantined === 1 ? 'is' : 'are'} not in the target`,
      commands: [`mylab-sync show-errors --table ${table}`, `mylab-sync retry-failed --table ${table}`],
    }),
  ]
}

/** A user's own constraint is the user's to make again. */
function ofConstraint(context: EngineContext, model: Model, constraint: ConstraintState): CutoverFinding {
  const { owned, table: name } = constraint
  const table = [...model.tables].find(([, mapping]) => mapping.name === name)?.[0] ?? name
  const shown = showing(model, table, constraint)
  return {
    code: 'constraint-not-held',
    severity: owned ? 'blocks' : 'note',
    table,
    cause: `${constraintText(constraint)}; the rows that do not hold it are to be corrected at the source`,
    on: 'target',
    when: 'before',
    sql: shown === undefined ? [] : context.target.cutover.statementsFor(shown),
  }
}

/** What lists the rows that break the constraint. */
function showing(model: Model, table: string, { kind, name }: ConstraintState): Missing | undefined {
  if (!model.tables.has(table)) return undefined
  const mapping = model.mapping(table)
  const { indexes, checks } = model.objects(table)
  if (kind === 'foreign-key') {
    const keys = cutoverTables(model).find((each) => each.table === mapping)?.foreignKeys ?? []
    const key = keys.find(({ edge }) => edge.name === name)
    return key && { kind: 'orphans', key }
  }
  if (kind === 'check') {
    const check = checks.find((each) => each.name === name)
    return check && { kind: 'violations', table: mapping, check }
  }
  const index = indexes.find((each) => each.name === name && each.unique)
  return index && { kind: 'duplicates', table: mapping, index }
}

/** Such a table is copied as a whole once more, and its writes cannot be refused. */
function ofCapture(model: Model, table: string, state: TableState): CutoverFinding[] {
  if (state !== 'recopied' || !model.tables.has(table)) return []
  const { source } = model.mapping(table)
  if (isTransactional(source)) return []
  return [
    {
      code: 'no-triggers',
      severity: 'note',
      table,
      cause: `its engine ${source.engine} takes no triggers, so --set-read-only refuses no write to it: stop the application itself`,
      on: 'source',
      when: 'before',
      sql: [],
    },
  ]
}
