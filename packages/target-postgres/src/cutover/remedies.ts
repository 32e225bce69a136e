import type { ColumnMapping, Missing, TableMapping } from '@mylab-sync/core'
import * as sql from '../sql.js'
import { actingForeignKey } from './hardening.js'

type Of<K extends Missing['kind']> = Extract<Missing, { kind: K }>

/** Statements that show what a constraint does not hold for, or give the target what it does not get by itself. */
export function remedyFor(schema: string, missing: Missing): readonly string[] {
  switch (missing.kind) {
    case 'orphans': {
      const { edge, child, parent } = missing.key
      return [`SELECT t.* ${sql.orphans(schema, edge, { child, parent }).replaceAll(/\s+/g, ' ')};`]
    }
    case 'duplicates':
      return duplicates(schema, missing)
    case 'violations':
      return [`SELECT * FROM ${sql.tableName(schema, missing.table)} WHERE NOT (${missing.check.expression});`]
    case 'foreign-key-action':
      return foreignKeyAction(schema, missing)
    case 'case-insensitive-text':
      return caseInsensitive(schema, missing)
    case 'on-update':
      return onUpdate(schema, missing.table, missing.column)
    case 'generated-expression':
      return generated(schema, missing.table, missing.column)
    case 'unsigned':
      return unsigned(schema, missing)
    case 'default':
      return [
        `ALTER TABLE ${sql.tableName(schema, missing.table)} ALTER COLUMN ${sql.name(missing.column.name)} SET DEFAULT ${translated(defaultText(missing.column))};`,
      ]
    case 'check':
      return [
        `ALTER TABLE ${sql.tableName(schema, missing.table)} ADD CONSTRAINT ${ownName(missing.table, missing.check.name)} CHECK (${translated(missing.check.expression)});`,
      ]
    case 'fulltext-index':
      return fulltext(schema, missing)
  }
}

/** A statement with this in it does not run before somebody has put an expression in its place. */
function translated(expression: string): string {
  return `/* in PostgreSQL's words: ${expression.replaceAll('*/', '* /').replaceAll('/*', '/ *')} */`
}

function defaultText({ source: { defaultValue } }: ColumnMapping): string {
  if (defaultValue.kind === 'literal' || defaultValue.kind === 'expression') return defaultValue.text
  return defaultValue.kind === 'bytes' ? `X'${defaultValue.hex}'` : defaultValue.kind
}

function ownName(table: TableMapping, name: string): string {
  return sql.name(sql.shortName(`${table.name}_${name}`))
}

function duplicates(schema: string, { table, index }: Of<'duplicates'>): string[] {
  const parts = index.parts.map((part) => part.replace(/ DESC$/, ''))
  const notNull = parts.map((part) => `${part} IS NOT NULL`).join(' AND ')
  return [
    `SELECT ${parts.join(', ')}, count(*) FROM ${sql.tableName(schema, table)} WHERE ${notNull} GROUP BY ${parts.join(', ')} HAVING count(*) > 1;`,
  ]
}

function foreignKeyAction(schema: string, { key }: Of<'foreign-key-action' | 'orphans'>): string[] {
  const target = sql.tableName(schema, key.child)
  const name = sql.name(key.edge.name)
  return [
    `ALTER TABLE ${target} DROP CONSTRAINT ${name};`,
    `${actingForeignKey(schema, key)} NOT VALID;`,
    `ALTER TABLE ${target} VALIDATE CONSTRAINT ${name};`,
  ]
}

/** Only collations with `_as_` in their names tell accents apart. */
function caseInsensitive(schema: string, { table, columns }: Of<'case-insensitive-text'>): string[] {
  const target = sql.tableName(schema, table)
  const collationOf = ({ source }: ColumnMapping): { name: string; strength: string } =>
    source.collation?.includes('_as_')
      ? { name: sql.tableName(schema, { name: 'ignores_case' }), strength: 'level2' }
      : { name: sql.tableName(schema, { name: 'ignores_case_and_accents' }), strength: 'level1' }
  const collations = new Map(columns.map(collationOf).map(({ name, strength }) => [name, strength]))
  return [
    ...[...collations].map(
      ([name, strength]) =>
        `CREATE COLLATION IF NOT EXISTS ${name} (provider = icu, locale = 'und-u-ks-${strength}', deterministic = false);`,
    ),
    ...columns.map(
      (column) =>
        `ALTER TABLE ${target} ALTER COLUMN ${sql.name(column.name)} TYPE ${column.type} COLLATE ${collationOf(column).name};`,
    ),
  ]
}

/** As the source has it: unless the statement sets the column itself, and only if another column changes. */
function onUpdate(schema: string, table: TableMapping, column: ColumnMapping): string[] {
  const c = sql.name(column.name)
  const now = `CURRENT_TIMESTAMP(${column.source.fraction})`
  return trigger(schema, table, {
    name: `${column.name}_on_update`,
    events: 'UPDATE',
    // As text, since json has no equality.
    body: `IF NEW.${c} IS NOT DISTINCT FROM OLD.${c} AND NEW::text IS DISTINCT FROM OLD::text THEN NEW.${c} := ${now}; END IF;`,
  })
}

function generated(schema: string, table: TableMapping, column: ColumnMapping): string[] {
  return trigger(schema, table, {
    name: `${column.name}_generated`,
    events: 'INSERT OR UPDATE',
    body: `NEW.${sql.name(column.name)} := ${translated(column.source.expression ?? '')};`,
  })
}

function trigger(
  schema: string,
  table: TableMapping,
  { name, events, body }: { readonly name: string; readonly events: string; readonly body: string },
): string[] {
  const own = sql.shortName(`${table.name}_${name}`)
  const called = sql.tableName(schema, { name: own })
  return [
    `CREATE FUNCTION ${called}() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN ${body} RETURN NEW; END $body$;`,
    `CREATE TRIGGER ${sql.name(own)} BEFORE ${events} ON ${sql.tableName(schema, table)} FOR EACH ROW EXECUTE PROCEDURE ${called}();`,
  ]
}

function unsigned(schema: string, { table, column, most }: Of<'unsigned'>): string[] {
  const c = sql.name(column.name)
  const range = most === null ? `${c} >= 0` : `${c} BETWEEN 0 AND ${most}`
  return [
    `ALTER TABLE ${sql.tableName(schema, table)} ADD CONSTRAINT ${ownName(table, `${column.name}_unsigned`)} CHECK (${range});`,
  ]
}

function fulltext(schema: string, { table, index, columns }: Of<'fulltext-index'>): string[] {
  const words = columns.map((column) => `coalesce(${sql.name(column.name)}::text, '')`).join(" || ' ' || ")
  return [
    `CREATE INDEX ${ownName(table, index)} ON ${sql.tableName(schema, table)} USING gin (to_tsvector('simple', ${words}));`,
  ]
}
