import { createHash } from 'node:crypto'
import {
  type Edge,
  type QuarantinedKey,
  type QuarantinedRow,
  type RawRow,
  type ReferencedValues,
  type RefusedRow,
  type RowKey,
} from '@mylab-sync/core'
import type { Model } from '../model/model.js'
import { tokensOfValues } from './reference-tokens.js'

/** The quarantined keys when a slice began. */
export class Quarantine {
  readonly keys: readonly QuarantinedKey[]
  readonly #tables = new Map<string, Map<RowKey, QuarantinedKey>>()

  constructor(keys: readonly QuarantinedKey[]) {
    this.keys = keys
    for (const key of keys) {
      const table = this.#tables.get(key.table)
      if (table) table.set(key.key, key)
      else this.#tables.set(key.table, new Map([[key.key, key]]))
    }
  }

  find(table: string, key: RowKey): QuarantinedKey | undefined {
    return this.#tables.get(table)?.get(key)
  }

  holdsAny(table: string): boolean {
    return this.#tables.has(table)
  }

  /** Whether the row is unchanged since it was refused, with no retry requested. */
  isUnchanged(table: string, row: RawRow): boolean {
    const known = this.find(table, row.key)
    return known !== undefined && known.digest !== null && known.digest === digestOf(row)
  }

  /** Values by which children of `edge` may reference these rows, as the rows were last read. */
  references(table: string, edge: Edge, keys: readonly RowKey[]): (readonly string[])[] {
    const known = keys.flatMap((key) => this.find(table, key)?.references ?? [])
    return known.filter((r) => r.child === edge.child && r.edge === edge.name).map((r) => r.tokens)
  }
}

/** Records of refused rows: enough to detect a change, and to find children that still reference them. */
export function quarantinedRows(
  at: { readonly model: Model; readonly table: string; readonly operation: QuarantinedRow['operation'] },
  refused: readonly RefusedRow[],
  raw: readonly RawRow[],
): QuarantinedRow[] {
  const rows = new Map(raw.map((row) => [row.key, row]))
  return refused.map((refusal) => {
    const row = rows.get(refusal.key)
    return {
      ...refusal,
      operation: at.operation,
      digest: row ? digestOf(row) : '',
      references: row ? referencesOf(at.model, at.table, row) : [],
    }
  })
}

function referencesOf(model: Model, table: string, row: RawRow): ReferencedValues[] {
  const references: ReferencedValues[] = []
  for (const edge of model.graph.actionEdgesFrom(table)) {
    if (edge.byKey) continue
    const { columns } = model.mapping(edge.parent)
    const tokens = tokensOfValues(edge, (name) => row.values[columns.findIndex((c) => c.source.name === name)] ?? null)
    if (tokens) references.push({ child: edge.child, edge: edge.name, tokens })
  }
  return references
}

function digestOf({ values }: RawRow): string {
  const hash = createHash('sha256')
  for (const value of values) {
    hash.update(value === null ? 'n' : `${value.length}:`)
    if (value !== null) hash.update(value)
  }
  return hash.digest('base64')
}
