import { counted, type OtherObjects } from '@mylab-sync/core'
import { countKinds, type KindCount, type NotCarriedReport } from './not-carried.js'

type Kind = KindCount['kind']

/** The counted text of each kind. */
const COUNTED: Readonly<Record<Kind, (found: KindCount) => string>> = {
  'case-insensitive-text': ({ tables }) => `case-insensitive text in ${counted(tables, 'table')}`,
  check: ({ count }) => counted(count, 'CHECK'),
  default: ({ count }) => counted(count, 'DEFAULT'),
  'expression-index': ({ count }) => counted(count, 'index on an expression', 'indexes on expressions'),
  'foreign-key': ({ count }) => counted(count, 'foreign key'),
  'foreign-key-action': ({ count }) => `actions of ${counted(count, 'foreign key')}`,
  'fulltext-index': ({ count }) => counted(count, 'FULLTEXT index', 'FULLTEXT indexes'),
  'generated-expression': ({ count }) => `expressions of ${counted(count, 'generated column')}`,
  history: ({ count }) => `history of ${counted(count, 'system-versioned table')}`,
  index: ({ count }) => counted(count, 'index', 'indexes'),
  'on-update': ({ count }) => `ON UPDATE of ${counted(count, 'column')}`,
  partitions: ({ count }) => `partitions of ${counted(count, 'table')}`,
  'spatial-index': ({ count }) => counted(count, 'SPATIAL index', 'SPATIAL indexes'),
}

function countedKind(found: KindCount): string {
  return COUNTED[found.kind](found)
}

const ONE_OF: Readonly<Record<keyof OtherObjects['counts'], string>> = {
  views: 'view',
  routines: 'routine',
  events: 'event',
  triggers: 'trigger',
  sequences: 'sequence',
}

/** Objects of one kind that are not carried: their count, the reason and the tables. */
export interface NotCarriedGroup {
  readonly text: string
  /** null: each of `items` has its own reason. */
  readonly reason: string | null
  readonly items: readonly { readonly table: string; readonly text: string }[]
}

export function notCarriedGroups({ tables, others }: NotCarriedReport): NotCarriedGroup[] {
  const kinds = countKinds(tables).map((found) => ({
    text: countedKind(found),
    reason: found.reason,
    items: tables
      .filter(({ kind }) => kind === found.kind)
      .map(({ table, object, reason }) => ({ table, text: found.reason === null ? `${object}: ${reason}` : object })),
  }))
  return [...kinds, ...otherGroups(others)]
}

function otherGroups({ counts, notVisible, notListed }: OtherObjects): NotCarriedGroup[] {
  const present = (['views', 'routines', 'events', 'triggers', 'sequences'] as const)
    .filter((kind) => (counts[kind] ?? 0) > 0)
    .map((kind) => counted(counts[kind] ?? 0, ONE_OF[kind]))
  const unseen = notVisible.map(({ objects, grant }) => ({
    text: objects,
    reason: `whether there are any is not visible to this account; to see: ${grant}`,
    items: [],
  }))
  const failed = notListed.map(({ objects, reason }) => ({
    text: objects,
    reason: `the server cannot list them: ${reason}; its upgrade program repairs its own tables`,
    items: [],
  }))
  const known = { text: present.join(', '), reason: 'of the application; they stay in the source', items: [] }
  return [...(present.length === 0 ? [] : [known]), ...unseen, ...failed]
}
