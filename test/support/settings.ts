import type { ServerSet } from '@mylab-sync/testkit'

type SourceAdmin = Awaited<ReturnType<ServerSet['sourceAdmin']>>
type TargetAdmin = Awaited<ReturnType<ServerSet['targetAdmin']>>

/** A setting and a value other than its present one, as SQL. */
export interface Setting {
  readonly name: string
  readonly value: string
  /** The value that restores it, as SQL. */
  readonly restored: string
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** Values for settings that are free text. */
const TARGET_TEXTS: Readonly<Record<string, readonly string[]>> = {
  DateStyle: ['SQL, DMY', 'German', 'Postgres, MDY'],
  TimeZone: ['Asia/Kolkata', 'America/St_Johns'],
  timezone_abbreviations: ['India', 'Australia'],
  search_path: ['', 'no_such_schema', 'public, pg_catalog'],
  client_encoding: ['LATIN1', 'SQL_ASCII'],
  default_text_search_config: ['simple'],
  application_name: ["it's"],
  lc_numeric: ['C'],
  lc_monetary: ['C'],
  lc_time: ['C'],
  default_table_access_method: ['heap'],
}
/** Left out: users decide which role writes, and whether it may; the rest is memory that no test server has. */
const TARGET_LEFT = new Set(['role', 'session_authorization', 'default_transaction_read_only', 'temp_buffers', 'seed'])

interface SkippedTable {
  readonly name: string
  readonly vartype: string
  readonly setting: string
  readonly min_val: string | null
  readonly max_val: string | null
  readonly enumvals: string[] | null
}

/** Every setting that this role may change for itself, with each other value of an enumeration and the ends of a range. */
export async function targetSettings(admin: TargetAdmin, role: string): Promise<Setting[]> {
  const { rows } = await admin.query<SkippedTable>(
    "SELECT name, vartype, setting, min_val, max_val, enumvals FROM pg_settings WHERE context = 'user' ORDER BY name",
  )
  const found: Setting[] = []
  for (const row of rows.filter(({ name }) => !TARGET_LEFT.has(name)))
    for (const value of valuesOf(row).filter((each) => each !== row.setting)) {
      const isTaken = await admin.query(`ALTER ROLE "${role}" SET ${row.name} = ${quoted(value)}`).then(
        () => true,
        () => false,
      )
      if (isTaken) found.push({ name: row.name, value: quoted(value), restored: 'DEFAULT' })
    }
  await admin.query(`ALTER ROLE "${role}" RESET ALL`)
  return found
}

function valuesOf({ name, vartype, min_val, max_val, enumvals }: SkippedTable): string[] {
  if (vartype === 'bool') return ['on', 'off']
  if (vartype === 'enum') return enumvals ?? []
  if (vartype === 'string') return [...(TARGET_TEXTS[name] ?? [])]
  // The smallest timeout never fires; one of a moment ends whatever it can. Nobody can answer or reset it within 1 ms for certain.
  if (name === 'idle_session_timeout') return ['200']
  if (name === 'statement_timeout') return ['20']
  return name.endsWith('_timeout') ? ['1', max_val ?? ''] : [min_val ?? '', max_val ?? '']
}

/** Values for settings that are free text, and for enumerations whose members the server does not list. */
const SOURCE_TEXTS: Readonly<Record<string, readonly string[]>> = {
  time_zone: ["'-08:00'", "'+05:45'"],
  lc_time_names: ["'de_DE'", "'ar_AE'"],
  character_set_client: ['latin1'],
  character_set_connection: ['ucs2', 'latin1'],
  character_set_results: ['latin1', 'NULL'],
  character_set_server: ['ucs2', 'latin1'],
  character_set_filesystem: ['utf16'],
  collation_connection: ['utf8mb4_bin', 'latin1_general_cs'],
  collation_server: ['utf8mb4_bin'],
  default_storage_engine: ['MyISAM', 'MEMORY'],
  default_tmp_storage_engine: ['MyISAM'],
  init_connect: [`"SET time_zone = '-03:00', sql_mode = 'ANSI_QUOTES', NAMES latin1"`],
  system_versioning_asof: ["'2001-01-01 00:00:00'"],
  sql_mode: [
    "'ANSI'", "'TRADITIONAL'", "'NO_BACKSLASH_ESCAPES'", "'PAD_CHAR_TO_FULL_LENGTH'", "'IGNORE_SPACE,HIGH_NOT_PRECEDENCE,ONLY_FULL_GROUP_BY'",
    "'NO_UNSIGNED_SUBTRACTION,REAL_AS_FLOAT,PIPES_AS_CONCAT'", "'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE'", "'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO,NO_DIR_IN_CREATE'",
    "'TIME_TRUNCATE_FRACTIONAL'", "'TIME_ROUND_FRACTIONAL,EMPTY_STRING_IS_NULL'", "'ORACLE'", "'MSSQL'", "'DB2'", "'MAXDB'",
  ], // biome-ignore format: a list
  transaction_isolation: ["'READ-UNCOMMITTED'", "'READ-COMMITTED'", "'SERIALIZABLE'"],
  tx_isolation: ["'READ-UNCOMMITTED'", "'SERIALIZABLE'"],
  completion_type: ['1', '2'],
  old_mode: ["'ZERO_DATE_TIME_CAST,NO_DUP_KEY_WARNINGS_WITH_IGNORE'", "''"],
}
/** Tested although only the whole server has it: every session of the product and of the application runs `init_connect`. */
const SOURCE_GLOBAL = new Set(['init_connect'])
/** Left out: limits under which no statement completes, and settings that a session may not change. */
const SOURCE_LEFT =
  /^(max_session_mem_used|connection_memory_limit|max_allowed_packet|net_buffer_length|rpl_|wsrep_|binlog_|gtid_|server_id|debug|pseudo_|sql_log|skip_replication|max_user_connections|thread_|enforce_storage_engine|innodb_tmpdir|profiling)/

/** Every setting that a session may change, with other values: those that the server lists, else the ends of a range. */
export async function sourceSettings(admin: SourceAdmin): Promise<Setting[]> {
  const [rows] = await admin.query('SHOW GLOBAL VARIABLES')
  const [own] = await admin.query('SHOW SESSION VARIABLES')
  const globals = new Map(
    (rows as { Variable_name: string; Value: string }[]).map((row) => [row.Variable_name, row.Value]),
  )
  const sessions = new Set((own as { Variable_name: string }[]).map((row) => row.Variable_name))
  const found: Setting[] = []
  const listed = await listedValues(admin)
  for (const [name, current] of globals) {
    if (!(sessions.has(name) || SOURCE_GLOBAL.has(name)) || SOURCE_LEFT.test(name)) continue
    const restored = /^-?\d+(\.\d+)?$/.test(current)
      ? current
      : current === '' || current === 'DEFAULT'
        ? 'DEFAULT'
        : quoted(current)
    for (const value of SOURCE_TEXTS[name] ?? listed.get(name) ?? guessed(current)) {
      if (!(await isOfSessions(admin, { name, value, restored }))) continue
      found.push({ name, value, restored })
    }
  }
  return found
}

/** True if the server accepts the value globally, and a session may set it for itself. */
async function isOfSessions(admin: SourceAdmin, { name, value, restored }: Setting): Promise<boolean> {
  const isTaken = async (text: string): Promise<boolean> =>
    admin.query(text).then(
      () => true,
      () => false,
    )
  // Never changes a setting that only the whole server has.
  if (!SOURCE_GLOBAL.has(name) && !(await isTaken(`SET SESSION ${name} = ${restored}`))) return false
  if (!(await isTaken(`SET GLOBAL ${name} = ${value}`))) return false
  if (!(await isTaken(`SET GLOBAL ${name} = ${restored}`))) throw new Error(`${name} cannot be put back to ${restored}`)
  return true
}

function guessed(current: string): string[] {
  if (current === 'ON') return ['OFF']
  if (current === 'OFF') return ['ON']
  return /^\d+(\.\d+)?$/.test(current) ? ['0', '1', '4294967295'] : []
}

/** Reads the values that MariaDB lists; MySQL lists none. */
async function listedValues(admin: SourceAdmin): Promise<ReadonlyMap<string, readonly string[]>> {
  const text = `SELECT LOWER(VARIABLE_NAME) AS name, VARIABLE_TYPE AS type, NUMERIC_MIN_VALUE AS least, NUMERIC_MAX_VALUE AS most, ENUM_VALUE_LIST AS members
    FROM information_schema.SYSTEM_VARIABLES WHERE READ_ONLY = 'NO'`
  const rows = await admin.query(text).then(
    ([found]) =>
      found as { name: string; type: string; least: string | null; most: string | null; members: string | null }[],
    () => [],
  )
  return new Map(
    rows.map(({ name, type, least, most, members }) => {
      if (type === 'ENUM' || type === 'BOOLEAN') return [name, (members ?? 'OFF,ON').split(',').map(quoted)]
      if (type === 'SET' || type === 'FLAGSET') return [name, switched(name, members ?? '')]
      return [name, least === null || most === null ? [] : [least, most]]
    }),
  )
}

function switched(name: string, members: string): string[] {
  const all = members.split(',').filter((member) => member !== 'default' && member !== '')
  if (name === 'optimizer_switch') return [quoted(all.map((member) => `${member}=off`).join(','))]
  return ["''", ...all.map(quoted)]
}
