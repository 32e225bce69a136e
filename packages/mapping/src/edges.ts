import {
  type Edge,
  isActionEdge,
  type Refusal,
  type SourceColumn,
  type SourceForeignKey,
  type SourceTable,
  type TableMapping,
} from '@mylab-sync/core'
import { isText } from './columns.js'
import { indexPlans } from './indexes.js'
import { keyMapping, keyObstacle } from './keys.js'
import { findNamed, hasName, isLowered, quotePg, targetName } from './names.js'
import { defaultMappingOptions, type MappingOptions } from './options.js'
import { findColumn, findTable, syncKey } from './references.js'
import { mapTables } from './tables.js'

/** Foreign keys between tables, child tables that cannot be carried because of one, and parents that get triggers only. */
export interface EdgeGraph {
  readonly edges: Edge[]
  readonly refused: Refusal[]
  readonly captureOnly: string[]
}

interface Place {
  readonly child: TableMapping
  readonly key: SourceForeignKey
  readonly mapped: ReadonlyMap<string, TableMapping>
  /** Foreign keys with an action of mapped tables, by their parent's name in lower case. */
  readonly actions: ReadonlyMap<string, readonly SourceForeignKey[]>
  readonly all: readonly SourceTable[]
  readonly options: MappingOptions
}

type Outcome = { readonly edge: Edge } | { readonly reason: string; readonly remedy: string } | null

/** One edge per foreign key whose child is mapped and whose parent is either mapped or needed because of an action; `options` map such a parent. */
export function edges(
  mapped: Map<string, TableMapping>,
  all: readonly SourceTable[],
  options: MappingOptions = defaultMappingOptions,
): EdgeGraph {
  const graph: EdgeGraph = { edges: [], refused: [], captureOnly: [] }
  const actions = actionsByParent(mapped)
  for (const child of mapped.values()) {
    for (const key of child.source.foreignKeys) {
      const outcome = outcomeOf({ child, key, mapped, actions, all, options })
      if (outcome === null) continue
      if ('reason' in outcome) {
        graph.refused.push({
          table: child.source.name,
          column: key.columns[0] ?? null,
          reason: `foreign key ${key.name}: ${outcome.reason}`,
          remedy: outcome.remedy,
        })
        continue
      }
      graph.edges.push(outcome.edge)
      const { parent, captureOnlyParent } = outcome.edge
      if (captureOnlyParent && !graph.captureOnly.includes(parent)) graph.captureOnly.push(parent)
    }
  }
  return graph
}

function outcomeOf(place: Place): Outcome {
  return isActionEdge(place.key) ? actionOutcome(place) : plainOutcome(place)
}

/** A foreign key without an action matters only if both of its tables are carried. */
function plainOutcome(place: Place): Outcome {
  const { child, key, mapped, all } = place
  if (key.parentDatabase !== null) return null
  const source = findTable(all, key.parent)
  const parent = source && mapped.get(source.name)
  if (parent === undefined) return null
  const isFullTable = hasColumns(child.source, key.columns) && hasColumns(parent.source, key.parentColumns)
  return isFullTable ? (typeMismatch(place, parent) ?? { edge: edgeTo(parent, place) }) : null
}

/** Rows changed by an action are not logged, so the child can only be carried if its parent's changes are captured. */
function actionOutcome(place: Place): Outcome {
  const { key, mapped, all, options } = place
  if (key.parentDatabase !== null) return refusal('it references another database, and its action changes rows')
  const source = findTable(all, key.parent)
  if (source === undefined) return refusal('the table that it references does not exist')
  const obstacle = actionObstacle(place, source)
  if (obstacle !== null) return obstacle
  const carried = mapped.get(source.name)
  const parent = carried ?? mapTables([source], options).mapped.get(source.name)
  if (parent === undefined) return refusal(`the table ${source.name} that it references cannot be read`)
  if (parent.key === null) return refusal(`the table ${source.name} that it references has no key`)
  const reason = carried === undefined ? captureOnlyObstacle(place, parent) : null
  if (reason !== null) return refusal(reason, `include table ${source.name}`)
  return typeMismatch(place, parent) ?? { edge: edgeTo(parent, place) }
}

/** PostgreSQL compares no boolean with a number and no number with text. The source rejects such foreign keys, so only type options cause them. */
function typeMismatch({ child, key }: Place, parent: TableMapping): Outcome {
  for (const [at, name] of key.columns.entries()) {
    const [own, other] = [
      findNamed(child.columns, name, ({ source }) => source.name),
      findNamed(parent.columns, key.parentColumns[at] ?? '', ({ source }) => source.name),
    ]
    if (own && other && typeFamily(own.type) !== typeFamily(other.type))
      return refusal(
        `column ${name} becomes ${own.type}, but the column it references becomes ${other.type}`,
        'give both columns the same type option',
      )
  }
  return null
}

function typeFamily(type: string): string {
  if (/^(smallint|integer|bigint|numeric|real|double)/.test(type)) return 'number'
  return type === 'text' || type.startsWith('character varying') ? 'text' : type.replace(/\(\d+(,\d+)?\)/, '')
}

function edgeTo(parent: TableMapping, place: Place): Edge {
  const { child, key, mapped } = place
  const { source } = parent
  const keyColumns = syncKey(source)?.columns ?? []
  return {
    name: constraintName(child, key.name),
    child: child.source.name,
    parent: source.name,
    childKey: keyMapping(child, key.columns),
    parentKey: keyMapping(parent, key.parentColumns),
    action: isActionEdge(key),
    byKey: key.parentColumns.every((column) => hasName(keyColumns, column)),
    overlapping: isOverlapping(place),
    text: hasLooseText(child.source, key.columns) || hasLooseText(source, key.parentColumns),
    captureOnlyParent: !mapped.has(source.name),
    notCarried: mapped.has(source.name) ? unreferenceable(parent, key) : 'its parent is not carried',
  }
}

/** InnoDB lets a foreign key reference part of a key or any index; PostgreSQL requires a UNIQUE over exactly these columns. */
function unreferenceable(parent: TableMapping, { parentColumns }: SourceForeignKey): string | null {
  const isWanted = (columns: readonly string[]): boolean =>
    columns.length === parentColumns.length && parentColumns.every((column) => hasName(columns, column))
  if (isWanted(parent.key?.columns.map(({ column }) => column.source.name) ?? [])) return null
  const whole = parentColumns.map((name) => quotePg(findNamed(parent.columns, name, nameOfSource)?.name ?? name))
  const isUnique = indexPlans(parent, [parentColumns]).plans.some(
    ({ unique, columns, parts }) => unique && isWanted(columns) && parts.every((part) => whole.includes(part)),
  )
  return isUnique ? null : 'PostgreSQL requires a UNIQUE over exactly the referenced columns, and the parent has none'
}

function nameOfSource({ source }: TableMapping['columns'][number]): string {
  return source.name
}

/** The target has one namespace for all constraints of a table; the source has several. */
function constraintName(child: TableMapping, name: string): string {
  const wanted = targetName(name)
  const style = { lower: isLowered(child) }
  const { source } = child
  const own = [...source.indexes, ...source.checks, { name: 'pkey' }, { name: 'sync_key' }]
  const others = [...own.map((object) => object.name), ...source.columns.map((column) => `${column.name}_check`)]
  const isTaken = others.some((other) => targetName(`${source.name}_${other}`, style) === wanted)
  return isTaken ? targetName(`${name}_fk`) : wanted
}

function refusal(
  reason: string,
  remedy = 'exclude the table, or make the foreign key ON DELETE RESTRICT ON UPDATE RESTRICT',
) {
  return { reason, remedy }
}

function hasColumns(table: SourceTable, names: readonly string[]): boolean {
  return names.every((name) => findColumn(table, name) !== undefined)
}

function actionObstacle({ child, key }: Place, parent: SourceTable): Outcome {
  for (const [at, name] of key.columns.entries()) {
    const mapping = findNamed(child.columns, name, ({ source }) => source.name)
    const referenced = findColumn(parent, key.parentColumns[at] ?? '')
    if (mapping === undefined || referenced === undefined)
      return refusal(`column ${name} or the one that it references does not exist`)
    const unlike = memberMismatch(mapping.source, referenced)
    if (unlike !== null) return refusal(unlike, 'give both columns the same members in the same order')
    if (showsOtherDigits(mapping.source, referenced))
      return refusal(
        `column ${name} and the one that it references show different numbers of digits`,
        'give both columns the same number of digits',
      )
    const obstacle = keyObstacle(mapping)
    if (obstacle !== null) return refusal(`column ${name}: ${obstacle}`)
  }
  return null
}

/** The source compares ENUM and SET by number. */
function memberMismatch(child: SourceColumn, parent: SourceColumn): string | null {
  if (child.members === null && parent.members === null) return null
  const same = child.dataType === parent.dataType && JSON.stringify(child.members) === JSON.stringify(parent.members)
  return same ? null : `column ${child.name} and the one that it references have different members`
}

/** The source compares the stored bits of floating point numbers; the target holds the number that each column shows. */
function showsOtherDigits(child: SourceColumn, parent: SourceColumn): boolean {
  return child.dataType === parent.dataType && /^(float|double)$/.test(child.dataType) && child.scale !== parent.scale
}

function captureOnlyObstacle({ key }: Place, parent: TableMapping): string | null {
  const name = parent.source.name
  if (parent.source.foreignKeys.some(isActionEdge)) {
    return `table ${name} is not carried, and a foreign key action changes its own rows`
  }
  if (hasLooseText(parent.source, key.parentColumns)) {
    return `table ${name} is not carried, and a child may spell a reference differently from its parent`
  }
  const columns = parent.key?.columns.map(({ column }) => column.source.name) ?? []
  return key.parentColumns.every((column) => hasName(columns, column))
    ? null
    : `table ${name} is not carried, and is referenced by columns outside its key`
}

/** Whether the child's columns, or columns generated from them, overlap its own key or columns that an action edge references. */
function isOverlapping({ child, key, actions }: Place): boolean {
  const moved = changedColumns(child.source, key.columns)
  if (child.key?.columns.some(({ column }) => hasName(moved, column.source.name)) === true) return true
  const others = actions.get(child.source.name.toLowerCase()) ?? []
  return others.some((other) => other !== key && other.parentColumns.some((column) => hasName(moved, column)))
}

function actionsByParent(mapped: ReadonlyMap<string, TableMapping>): Map<string, SourceForeignKey[]> {
  const found = new Map<string, SourceForeignKey[]>()
  for (const { source } of mapped.values())
    for (const key of source.foreignKeys) {
      if (!isActionEdge(key) || key.parentDatabase !== null) continue
      const parent = key.parent.toLowerCase()
      const list = found.get(parent)
      if (list) list.push(key)
      else found.set(parent, [key])
    }
  return found
}

/**
 * Columns that change when a foreign key's action changes its own: these, and generated columns whose expressions read any of
 * them. The expression is the server's own text, so anything in it that may be a name counts as one, even inside a literal or
 * a longer name.
 */
function changedColumns(table: SourceTable, names: readonly string[]): string[] {
  const moved = [...names]
  const plain = (text: string): string => text.replace(/[^!-~]|[`\\]/g, '').toLowerCase()
  const mayRead = (expression: string, name: string): boolean =>
    expression === '' || plain(expression).includes(plain(name))
  for (const name of moved) {
    for (const { name: generated, expression } of table.columns)
      if (expression !== null && !hasName(moved, generated) && mayRead(expression, name)) moved.push(generated)
  }
  return moved
}

function hasLooseText(table: SourceTable, names: readonly string[]): boolean {
  return names.some((name) => {
    const column = findColumn(table, name)
    return column !== undefined && isText(column) && !/^binary$|nopad_bin$|_0900_bin$/.test(column.collation ?? '')
  })
}
