import { lineFindings, type SourceTable } from '@mylab-sync/core'
import { verifies, verifyRemedy } from '@mylab-sync/runtime'
import { type Check, finding, isAtLeast, isOn, someOf } from './check.js'

const MEBIBYTE = 2 ** 20
/** Keys per look-up, each byte as two hexadecimal digits. */
const KEYS_PER_LOOKUP = 1_000

export const version: Check = ({ server }) => {
  const oldest = server.vendor === 'mariadb' ? ([10, 2, 3] as const) : ([5, 7, 2] as const)
  if (isAtLeast(server, oldest)) return []
  const name = server.vendor === 'mariadb' ? 'MariaDB' : 'MySQL'
  return [
    finding(
      'error',
      'source-version',
      `${name} ${server.version} is not supported: it allows one trigger per event and table, which would exclude the application's own`,
      'upgrade the source to MySQL 5.7 or MariaDB 10.2.3, or later',
    ),
  ]
}

export const line: Check = ({ settings: { tls } }, { line: { address, encrypted } }) =>
  address === null
    ? []
    : lineFindings({
        side: 'source',
        host: address,
        encrypted,
        verified: verifies(tls.mode),
        remedy: verifyRemedy('DB'),
      })

export const readOnly: Check = (facts) => {
  const setting = ['innodb_read_only', 'super_read_only', 'read_only'].find((name) => isOn(facts, name))
  if (setting === undefined) return []
  return [
    finding(
      'error',
      'source-read-only',
      `the source is read-only (${setting}); on a replica, row-based replication fires no triggers, so no change would be captured`,
      `connect to the server that the application writes to; if this is it: SET GLOBAL ${setting} = OFF;`,
    ),
  ]
}

export const binlogFormat: Check = (facts) => {
  if (!isOn(facts, 'log_bin') || facts.variables.get('binlog_format')?.toUpperCase() !== 'STATEMENT') return []
  return [
    finding(
      'error',
      'source-binlog-format',
      'binlog_format is STATEMENT: applied changes cannot be acknowledged under READ COMMITTED (error 1665), and every write of the application would cause warning 1592',
      "SET GLOBAL binlog_format = 'MIXED'; and the same setting in the server's configuration file; open sessions keep the old one",
    ),
  ]
}

/** Since 9.6 MySQL itself, not InnoDB, executes foreign key actions, with bugs that no trigger sees. */
export const foreignKeyMode: Check = (facts) => {
  const { server, tables, variables } = facts
  const mode = variables.get('innodb_native_foreign_keys')
  if (
    server.vendor !== 'mysql' ||
    !isAtLeast(server, [9, 6, 0]) ||
    mode === undefined ||
    isOn(facts, 'innodb_native_foreign_keys')
  )
    return []
  const children = tables.filter((table) =>
    table.foreignKeys.some((key) => [key.onDelete, key.onUpdate].some((a) => a === 'CASCADE' || a.startsWith('SET'))),
  )
  if (children.length === 0) return []
  return [
    finding(
      'warning',
      'source-foreign-key-mode',
      `MySQL ${server.version} runs foreign key actions in its default mode, in which UPDATE IGNORE and REPLACE on parents of ${someOf(children.map((t) => t.name))} can change child rows unnoticed or leave orphans`,
      'set innodb_native_foreign_keys=ON in the [mysqld] section of the configuration file and restart the server',
    ),
  ]
}

/**
 * Only the product's statements must fit. Rows that are read need not: servers with 1 MiB sent rows of 5 MB and 40 MB whole
 * (measured on MariaDB 10.11 and MySQL 9.7).
 */
export const packet: Check = ({ variables, tables }) => {
  const most = Number(variables.get('max_allowed_packet') ?? Number.POSITIVE_INFINITY)
  const large = tables.filter((table) => KEYS_PER_LOOKUP * keyBytes(table) > most).map((table) => table.name)
  if (large.length === 0) return []
  const enough = Math.ceil(Math.max(...tables.map((table) => KEYS_PER_LOOKUP * keyBytes(table))) / MEBIBYTE) + 1
  return [
    finding(
      'warning',
      'source-max-allowed-packet',
      `max_allowed_packet is ${size(most)}: a look-up of ${KEYS_PER_LOOKUP} of the longest keys of ${someOf(large)} would not fit into a statement`,
      `SET GLOBAL max_allowed_packet = ${enough * MEBIBYTE}; and the same setting in the server's configuration file`,
    ),
  ]
}

/** The maximum number of bytes of one key in a statement's text. */
function keyBytes(table: SourceTable): number {
  return (table.primaryKey ?? []).reduce((sum, name) => {
    const column = table.columns.find((candidate) => candidate.name === name)
    const bytes = (column?.length ?? 20) * (column?.charset ? 4 : 1)
    return sum + Math.min(bytes, 3_072) * 2 + 8
  }, 4)
}

export function size(bytes: number): string {
  if (bytes >= 1024 * MEBIBYTE) return `${(bytes / 1024 / MEBIBYTE).toFixed(1)} GiB`
  return bytes >= MEBIBYTE ? `${Math.round(bytes / MEBIBYTE)} MiB` : `${Math.round(bytes / 1024)} KiB`
}

export const tableNames: Check = ({ variables, tables }) => {
  const mode = variables.get('lower_case_table_names')
  if (mode === '2')
    return [
      finding(
        'warning',
        'source-table-name-case',
        'lower_case_table_names is 2: names are stored as written and compared in lower case, which this product was not tested with',
        'use a source on a case-sensitive file system, with lower_case_table_names=0',
      ),
    ]
  if (mode !== '1' || tables.length === 0) return []
  return [
    finding(
      'note',
      'source-table-name-case',
      'lower_case_table_names is 1: the source stores all table names in lower case, and so will the target',
      'write the patterns of tables.include and tables.exclude in lower case',
    ),
  ]
}

/** A lax sql_mode lets the application write values that PostgreSQL cannot represent, if there are columns for them. */
export const sqlMode: Check = ({ variables, tables }) => {
  const mode = variables.get('sql_mode') ?? ''
  const isStrict = /STRICT_(ALL|TRANS)_TABLES/.test(mode)
  // Both modes only affect strict sessions.
  const letsDates = !(isStrict && /NO_ZERO_DATE/.test(mode) && /NO_ZERO_IN_DATE/.test(mode))
  const values = [
    ...(letsDates && hasColumn(tables, DATED) ? ['zero or partial dates'] : []),
    ...(!isStrict && hasColumn(tables, ['enum']) ? ['values outside an ENUM'] : []),
  ]
  if (values.length === 0) return []
  return [
    finding(
      'note',
      'source-sql-mode',
      `the sql_mode of new sessions allows ${values.join(' and ')}; those that PostgreSQL cannot store are altered and counted in mylab_sync.sync_sanitised`,
      'mylab-sync plan shows how they are handled; the value rules of the configuration change that',
    ),
  ]
}

const DATED = ['date', 'datetime', 'timestamp']

function hasColumn(tables: readonly SourceTable[], types: readonly string[]): boolean {
  return tables.some(({ columns }) => columns.some(({ dataType }) => types.includes(dataType)))
}

/** Text in these is converted to UTF-8 by the server, which silently replaces invalid characters. */
const LOSSY = /^(cp1251|ucs2|utf16|utf16le|utf32|sjis|cp932|ujis|eucjpms|euckr|big5|gbk|gb2312)$/

export const charsets: Check = async ({ tables, settings }, session) => {
  const [row] = await session.rows('SELECT @@character_set_client, @@character_set_results, @@character_set_database')
  const [client, results, database = ''] = row ?? []
  if (client !== 'utf8mb4' || results !== 'utf8mb4')
    return [
      finding(
        'error',
        'source-connection-charset',
        `the connection speaks ${client} and ${results} although utf8mb4 was requested: text would be altered`,
        'remove skip-character-set-client-handshake and init_connect settings that change the character set',
      ),
    ]
  const lossy = tables.filter((table) => table.columns.some((column) => LOSSY.test(column.charset ?? '')))
  const found =
    lossy.length === 0
      ? []
      : [
          finding(
            'note',
            'source-column-charset',
            `columns of ${someOf(lossy.map((table) => table.name))} have character sets in which the server silently replaces invalid characters by ?`,
            `check one: SELECT HEX(column_name), column_name FROM ${settings.database}.${lossy[0]?.name ?? ''} WHERE column_name LIKE '%?%' LIMIT 10;`,
          ),
        ]
  // The database's character set matters only if a column uses it.
  const isUsed = tables.some(({ columns }) => columns.some(({ charset }) => charset === database))
  if (database === null || database.startsWith('utf8') || !isUsed) return found
  return [
    ...found,
    finding(
      'note',
      'source-database-charset',
      `the database's default character set is ${database}; its text arrives as UTF-8. If the application wrote UTF-8 bytes through a ${database} connection, the text is wrong in the source already`,
      `check a doubtful table: SELECT HEX(column_name), column_name FROM table_name LIMIT 10; (é is E9 in latin1, C3A9 if UTF-8 was written through it)`,
    ),
  ]
}
