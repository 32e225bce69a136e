import {
  changesRows,
  type NotCarried,
  type SourceColumn,
  type SourceForeignKey,
  type SourceTable,
} from '@mylab-sync/core'

/** What a table loses besides indexes, CHECKs and defaults: the target holds values, not the rules that generate or compare them. */
export function leftBehind(table: SourceTable): NotCarried[] {
  return [
    ...table.foreignKeys.flatMap(actions),
    ...table.columns.flatMap(expression),
    ...history(table),
    ...text(table),
  ]
}

/** The target's rows follow the source's, so an action there would be applied twice. */
function actions({ name, onDelete, onUpdate }: SourceForeignKey): NotCarried[] {
  const clauses = [
    ...(changesRows(onDelete) ? [`ON DELETE ${onDelete}`] : []),
    ...(changesRows(onUpdate) ? [`ON UPDATE ${onUpdate}`] : []),
  ]
  if (clauses.length === 0) return []
  return [
    {
      kind: 'foreign-key-action',
      object: `${clauses.join(' ')} of FOREIGN KEY ${name}`,
      reason: 'the rows that it changes at the source are carried; the target only checks the key',
    },
  ]
}

function expression({ name, generated }: SourceColumn): NotCarried[] {
  if (generated === null) return []
  return [
    {
      kind: 'generated-expression',
      object: `expression of ${generated.toUpperCase()} column ${name}`,
      reason: 'its values are carried in an ordinary column; the target does not compute them',
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

/** One entry per collation. */
function text({ columns }: SourceTable): NotCarried[] {
  const byCollation = new Map<string, string[]>()
  for (const { name, collation, json } of columns)
    if (collation !== null && !json && collation.endsWith('_ci'))
      byCollation.set(collation, [...(byCollation.get(collation) ?? []), name])
  return [...byCollation].map(([collation, names]) => ({
    kind: 'case-insensitive-text',
    object: `${collation} of ${names.length === 1 ? 'column' : 'columns'} ${names.join(', ')}`,
    reason: "PostgreSQL treats 'A' and 'a' as different when it compares, sorts and groups; use lower(..) or citext",
  }))
}
