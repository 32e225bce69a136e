import {
  type ColumnMapping,
  isActionEdge,
  type Missing,
  type NotCarried,
  type NotCarriedKind,
  type TableMapping,
} from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { Model } from '../model/model.js'
import { notCarriedOf } from '../report/not-carried.js'
import type { CutoverFinding } from './finding.js'
import { cutoverTables } from './tables.js'

/** What the source does for the application that the target will not do by itself. None of it blocks. */
export async function objectFindings(context: EngineContext, model: Model): Promise<CutoverFinding[]> {
  const others = await context.source.catalog.otherObjects()
  const keys = new Map(cutoverTables(model).map(({ table, foreignKeys }) => [table.source.name, foreignKeys]))
  const statements = (missing: readonly Missing[]): string[] =>
    missing.flatMap((each) => [...context.target.cutover.statementsFor(each)])
  const findings: CutoverFinding[] = []
  for (const table of model.tables.keys()) {
    const mapping = model.mapping(table)
    for (const [kind, left] of byKind(notCarriedOf(model, table, others))) {
      const missing =
        kind === 'foreign-key-action'
          ? (keys.get(table) ?? []).filter(isActionEdge).map((key): Missing => ({ kind, key }))
          : missingOf(mapping, kind, left)
      findings.push(note(kind, table, { cause: causeOf(left), sql: statements(missing) }))
    }
    const unsigned = unsignedOf(mapping)
    if (unsigned.length > 0) {
      const names = unsigned.map(({ column }) => column.source.name).join(', ')
      findings.push(
        note('unsigned', table, {
          cause: `the target takes negative and larger values in ${names}`,
          sql: statements(unsigned),
        }),
      )
    }
  }
  return [...findings, ...(await applicationFindings(context, others.notVisible))]
}

function note(
  code: CutoverFinding['code'],
  table: string | null,
  {
    cause,
    sql,
    on = 'target',
  }: { readonly cause: string; readonly sql: readonly string[]; readonly on?: 'source' | 'target' },
): CutoverFinding {
  // A target with triggers or other types of its own would not hold what drains write.
  return { code, severity: 'note', table, cause, on, when: 'after', sql }
}

function byKind(all: readonly NotCarried[]): Map<NotCarriedKind, NotCarried[]> {
  const kinds = new Map<NotCarriedKind, NotCarried[]>()
  for (const left of all) kinds.set(left.kind, [...(kinds.get(left.kind) ?? []), left])
  return kinds
}

function causeOf(left: readonly NotCarried[]): string {
  const reasons = new Set(left.map(({ reason }) => reason))
  return `${left.map(({ object }) => object).join(', ')}: ${[...reasons].join('; ')}`
}

/** Nothing can be run for kinds that PostgreSQL has no counterpart of. */
function missingOf(table: TableMapping, kind: NotCarriedKind, left: readonly NotCarried[]): Missing[] {
  const { source, columns } = table
  const isLeft = (object: string): boolean => left.some((each) => each.object === object)
  switch (kind) {
    case 'on-update':
      return columns.filter((column) => column.source.onUpdate).map((column) => ({ kind, table, column }))
    case 'generated-expression':
      return columns.filter((column) => column.source.generated !== null).map((column) => ({ kind, table, column }))
    case 'default':
      return columns
        .filter((column) => isLeft(`DEFAULT of column ${column.source.name}`))
        .map((column) => ({ kind, table, column }))
    case 'check':
      return source.checks.filter(({ name }) => isLeft(`CHECK ${name}`)).map((check) => ({ kind, table, check }))
    case 'case-insensitive-text':
      return [{ kind, table, columns: columns.filter(isCaseInsensitive) }]
    case 'fulltext-index':
      return source.indexes
        .filter((index) => index.kind === 'fulltext')
        .map((index) => ({
          kind,
          table,
          index: index.name,
          columns: index.parts.flatMap((part) => columns.filter((column) => column.source.name === part.column)),
        }))
    case 'expression-index':
    case 'foreign-key':
    case 'foreign-key-action':
    case 'history':
    case 'index':
    case 'partitions':
    case 'spatial-index':
      return []
  }
}

function isCaseInsensitive({ source }: ColumnMapping): boolean {
  return source.collation !== null && !source.json && source.collation.endsWith('_ci')
}

const MOST: Readonly<Record<string, string>> = {
  tinyint: '255',
  smallint: '65535',
  mediumint: '16777215',
  int: '4294967295',
  bigint: '18446744073709551615',
}

/** A counter never gets there by itself. */
function unsignedOf(table: TableMapping): Extract<Missing, { kind: 'unsigned' }>[] {
  return table.columns
    .filter(({ source, type }) => source.unsigned && !source.autoIncrement && type !== 'boolean')
    .map((column) => ({ kind: 'unsigned', table, column, most: MOST[column.source.dataType] ?? null }))
}

async function applicationFindings(
  { source }: EngineContext,
  notVisible: readonly { readonly objects: string; readonly grant: string }[],
): Promise<CutoverFinding[]> {
  const objects = await source.catalog.applicationObjects()
  return [
    ...objects.map(({ kind, name, table, shownBy }) =>
      note(kind, table, {
        cause: `${kind} ${name} is the application's, and stays in the source; to see its definition:`,
        sql: [shownBy],
        on: 'source',
      }),
    ),
    ...notVisible.map(({ objects: kind, grant }) =>
      note('not-visible', null, {
        cause: `whether there are ${kind} is not visible to this account`,
        sql: [grant],
        on: 'source',
      }),
    ),
  ]
}
