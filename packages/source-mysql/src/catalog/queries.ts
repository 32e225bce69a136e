import * as sql from '../sql.js'

/** One statement per kind of object, for all tables. */
export interface CatalogQueries {
  readonly tables: string
  readonly columns: string
  readonly indexes: string
  readonly foreignKeyColumns: string
  readonly foreignKeys: string
}

/** Columns of information_schema.STATISTICS that only some servers have. */
export interface IndexFeatures {
  readonly expressions: boolean
  /** The column (MySQL's, MariaDB's, or none) that shows whether the optimizer ignores an index; statements must not name such an index. */
  readonly visibility: 'IS_VISIBLE' | 'IGNORED' | null
}

const VISIBLE: Readonly<Record<NonNullable<IndexFeatures['visibility']>, string>> = {
  IS_VISIBLE: "IS_VISIBLE = 'YES'",
  IGNORED: "IGNORED = 'NO'",
}

export function catalogQueries(database: string, { expressions, visibility }: IndexFeatures): CatalogQueries {
  const schema = sql.text(database)
  return {
    tables: `SELECT TABLE_NAME, ENGINE, TABLE_TYPE, TABLE_COMMENT, TABLE_ROWS, DATA_LENGTH FROM information_schema.TABLES
      WHERE TABLE_SCHEMA = ${schema} AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY TABLE_NAME`,
    columns: columnsQuery(database, null),
    indexes: `SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, COLLATION, INDEX_TYPE, ${visibility === null ? '1' : VISIBLE[visibility]}${expressions ? ', EXPRESSION' : ''}
      FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ${schema} ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX`,
    foreignKeyColumns: `SELECT TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME
      FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = ${schema} AND CONSTRAINT_SCHEMA = ${schema} AND REFERENCED_TABLE_NAME IS NOT NULL
      ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION`,
    foreignKeys: `SELECT TABLE_NAME, CONSTRAINT_NAME, DELETE_RULE, UPDATE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ${schema}`,
  }
}

/** Counts of views, routines, events and MariaDB's sequences, and all triggers by name and table, as visible to the account; one query each, since any may fail. */
export function otherObjectsQueries(
  database: string,
): Readonly<Record<'views' | 'routines' | 'events' | 'triggers' | 'sequences', string>> {
  const schema = sql.text(database)
  const tables = (type: string): string =>
    `SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${schema} AND TABLE_TYPE = ${sql.text(type)}`
  return {
    views: tables('VIEW'),
    routines: `SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ${schema}`,
    events: `SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ${schema}`,
    triggers: `SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ${schema}`,
    sequences: tables('SEQUENCE'),
  }
}

/** Kind, name and, of a trigger, table of each object; one query each, since any may fail. */
export function applicationObjectsQueries(database: string): readonly {
  readonly objects: 'views' | 'routines' | 'events' | 'triggers' | 'sequences'
  readonly query: string
}[] {
  const schema = sql.text(database)
  const tables = (type: string): string =>
    `SELECT ${sql.text(type.toLowerCase())}, TABLE_NAME, NULL FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${schema} AND TABLE_TYPE = ${sql.text(type)} ORDER BY 2`
  return [
    { objects: 'views', query: tables('VIEW') },
    {
      objects: 'routines',
      query: `SELECT LOWER(ROUTINE_TYPE), ROUTINE_NAME, NULL FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ${schema} ORDER BY 1, 2`,
    },
    {
      objects: 'events',
      query: `SELECT 'event', EVENT_NAME, NULL FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ${schema} ORDER BY 2`,
    },
    {
      objects: 'triggers',
      query: `SELECT 'trigger', TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ${schema} ORDER BY 2`,
    },
    { objects: 'sequences', query: tables('SEQUENCE') },
  ]
}

export function partitionedTablesQuery(database: string): string {
  return `SELECT TABLE_NAME FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = ${sql.text(database)} AND CREATE_OPTIONS LIKE '%partitioned%' ORDER BY TABLE_NAME`
}

/** For all tables, or only these. */
export function columnsQuery(database: string, tables: readonly string[] | null): string {
  const named = tables === null ? '' : ` AND TABLE_NAME IN (${tables.map(sql.text).join(', ')})`
  return `SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE,
    DATETIME_PRECISION, CHARACTER_SET_NAME, COLLATION_NAME, COLUMN_DEFAULT, EXTRA, COLUMN_COMMENT, GENERATION_EXPRESSION
    FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ${sql.text(database)}${named} ORDER BY TABLE_NAME, ORDINAL_POSITION`
}

/** Reads no statistics, and so opens no table. */
export function tableNamesQuery(database: string): string {
  return `SELECT TABLE_NAME, TABLE_COMMENT FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = ${sql.text(database)} AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY TABLE_NAME`
}

/** MariaDB's constraint names are unique per table only, MySQL's per database. */
export function checksQuery(database: string, vendor: 'mariadb' | 'mysql'): string {
  const schema = sql.text(database)
  return vendor === 'mariadb'
    ? `SELECT TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ${schema}`
    : `SELECT t.TABLE_NAME, c.CONSTRAINT_NAME, c.CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS c
      JOIN information_schema.TABLE_CONSTRAINTS t ON t.CONSTRAINT_SCHEMA = c.CONSTRAINT_SCHEMA AND t.CONSTRAINT_NAME = c.CONSTRAINT_NAME
      WHERE c.CONSTRAINT_SCHEMA = ${schema} AND t.CONSTRAINT_TYPE = 'CHECK' AND t.ENFORCED = 'YES'`
}

export const SERVER_QUERY = 'SELECT VERSION(), @@version_comment'

/** Which optional columns and views the server has. */
export const FEATURES_QUERY = `SELECT
  (SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema' AND TABLE_NAME = 'CHECK_CONSTRAINTS' AND COLUMN_NAME = 'CHECK_CLAUSE'),
  (SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema' AND TABLE_NAME = 'STATISTICS' AND COLUMN_NAME = 'EXPRESSION'),
  (SELECT MAX(COLUMN_NAME) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema' AND TABLE_NAME = 'STATISTICS' AND COLUMN_NAME IN ('IS_VISIBLE', 'IGNORED'))`

export function indexFeatures([, expressions, visibility]: readonly (string | null)[] = []): IndexFeatures {
  return {
    expressions: Number(expressions) > 0,
    visibility: visibility === 'IS_VISIBLE' || visibility === 'IGNORED' ? visibility : null,
  }
}
