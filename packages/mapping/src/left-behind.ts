import type { NotCarried, ReferentialAction, SourceColumn, SourceForeignKey, SourceTable } from '@mylab-sync/core'

/** What a table's rows lose beside indexes, CHECKs and defaults: the target holds the values, and not what made or compares them. */
export function leftBehind(table: SourceTable): NotCarried[] {
  return [
    ...table.foreignKeys.flatMap(actions),
    ...table.columns.flatMap(expression),
    ...history(table),
    ...text(table),
  ]
}

/** The target's rows follow those of the source, so an action there would be a second one. */
function actions({ name, onDelete, onUpdate }: SourceForeignKey): NotCarried[] {
  const acts = (action: ReferentialAction): boolean => action !== 'NO ACTION' && action !== 'RESTRICT'
  const clauses = [
    ...(acts(onDelete) ? [`ON DELETE ${onDelete}`] : []),
    ...(acts(onUpdate) ? [`ON UPDATE ${onUpdate}`] : []),
  ]
  if (clauses.length === 0) return []
  return [
    {
      kind: 'foreign-key-action',
      object: `${clauses.join(' ')} of FOREIGN KEY ${name}`,
      reason: 'the rows that the source changes by it are carried; the target only checks the key',
    },
  ]
}

function expression({ name, generated }: SourceColumn): NotCarried[] {
  if (generated === null) return []
  return [
    {
      kind: 'generated-expression',
      object: `expression of ${generated.toUpperCase()} column ${name}`,
      reason: 'its values are carried, in an ordinary column; the target computes none',
    },
  ]
}

function history({ systemVersioned }: SourceTable): NotCarried[] {
  if (!systemVersioned) return []
  return [
    {
      kind: 'history',
      object: 'SYSTEM VERSIONING',
      reason: 'the current rows are carried; their earlier versions stay in the source',
    },
  ]
}

/** One entry a collation. */
function text({ columns }: SourceTable): NotCarried[] {
  const byCollation = new Map<string, string[]>()
  for (const { name, collation, json } of columns)
    if (collation !== null && !json && collation.endsWith('_ci'))
      byCollation.set(collation, [...(byCollation.get(collation) ?? []), name])
  return [...byCollation].map(([collation, names]) => ({
    kind: 'case-insensitive-text',
    object: `${collation} of ${names.length === 1 ? 'column' : 'columns'} ${names.join(', ')}`,
    reason: "PostgreSQL tells 'A' from 'a' wherever it compares, sorts and groups; lower(..) or citext takes its place",
  }))
}
