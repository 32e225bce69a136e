import type { Finding, FindingCode, Severity, SourceTable, TableMapping } from '@mylab-sync/core'
import { ER } from '../connection/error-numbers.js'
import { readServer, type Server } from '../catalog/catalog.js'
import { actAsDefiner } from '../capture/definer.js'
import { errorNumber } from '../connection/errors.js'
import type { Session } from '../connection/session.js'
import type { SourceSettings } from '../settings.js'
import * as sql from '../sql.js'
import { Grants } from './grants.js'

/** Facts for all checks, read once. */
export interface Facts {
  readonly server: Server
  readonly settings: SourceSettings
  readonly mappings: readonly TableMapping[]
  readonly tables: readonly SourceTable[]
  /** Global variables by name, as the server prints them. */
  readonly variables: ReadonlyMap<string, string>
  readonly grants: Grants
  /** The rights that the account's triggers run with. */
  readonly definerGrants: Grants
  /** The account that the server matched, quoted: `'sync'@'%'`. */
  readonly account: string
}

/** Checks one aspect and changes nothing. */
export type Check = (facts: Facts, session: Session) => Finding[] | Promise<Finding[]>

const VARIABLES = [
  'binlog_format',
  'innodb_native_foreign_keys',
  'innodb_read_only',
  'log_bin',
  'log_bin_trust_function_creators',
  'lower_case_table_names',
  'max_allowed_packet',
  'read_only',
  'sql_mode',
  'super_read_only',
]

export async function readFacts(
  session: Session,
  settings: SourceSettings,
  mappings: readonly TableMapping[],
): Promise<Facts> {
  const server = await readServer(session)
  const variables = await session.rows(
    `SHOW GLOBAL VARIABLES WHERE Variable_name IN (${VARIABLES.map(sql.text).join(', ')})`,
  )
  const account = await readAccount(session, server, settings.database)
  const roles = await activeRoles(session)
  const definer = roles === null ? account.lines : await definerLines(session, server, roles)
  return {
    server,
    settings,
    mappings,
    tables: mappings.map((mapping) => mapping.source),
    variables: new Map(variables.map(([name, value]) => [(name ?? '').toLowerCase(), value ?? ''])),
    grants: account.grants,
    definerGrants: new Grants(definer, settings.database, await namesAreLiteral(session)),
    account: account.name,
  }
}

/** The account that the server matched, and its rights. */
export interface Account {
  /** Quoted: `'sync'@'%'`. */
  readonly name: string
  readonly lines: readonly string[]
  readonly grants: Grants
}

export async function readAccount(session: Session, server: Server, database: string): Promise<Account> {
  const [identity] = await session.rows('SELECT CURRENT_USER()')
  const lines = await grantLines(session, server)
  const grants = new Grants(lines, database, await namesAreLiteral(session))
  return { name: quotedAccount(identity?.[0] ?? ''), lines, grants }
}

async function namesAreLiteral(session: Session): Promise<boolean> {
  const [row] = await session.rows("SHOW GLOBAL VARIABLES LIKE 'partial\\_revokes'")
  return row?.[1] === 'ON'
}

/** As an argument of SET ROLE; null if none are active, or the server has no roles. */
export async function activeRoles(session: Session): Promise<string | null> {
  try {
    const [row] = await session.rows('SELECT CURRENT_ROLE()')
    const roles = row?.[0] ?? 'NONE'
    return roles === 'NONE' ? null : roles
  } catch (error) {
    if (errorNumber(error) === ER.SP_DOES_NOT_EXIST) return null
    throw error
  }
}

async function definerLines(session: Session, server: Server, roles: string): Promise<string[]> {
  await actAsDefiner(session, server)
  try {
    return await grantLines(session, server)
  } finally {
    await session.run(`SET ROLE ${server.vendor === 'mariadb' ? sql.text(roles) : roles}`)
  }
}

/** MariaDB's SHOW GRANTS includes those of the active role; MySQL 8 needs a USING clause. */
async function grantLines(session: Session, server: Server): Promise<string[]> {
  const lines = (rows: readonly (readonly (string | null)[])[]): string[] => rows.map(([line]) => line ?? '')
  if (server.vendor === 'mysql' && versionOf(server)[0] >= 8) {
    const [row] = await session.rows('SELECT CURRENT_ROLE()')
    const roles = row?.[0] ?? 'NONE'
    if (roles !== 'NONE') return lines(await session.rows(`SHOW GRANTS FOR CURRENT_USER() USING ${roles}`))
  }
  return lines(await session.rows('SHOW GRANTS'))
}

/** `name@host` as the server prints it -> `'name'@'host'`. */
export function quotedAccount(account: string): string {
  const at = account.lastIndexOf('@')
  if (at < 0) return sql.text(account)
  return `${sql.text(account.slice(0, at))}@${sql.text(account.slice(at + 1))}`
}

/** Major, minor and patch number. */
export function versionOf(server: Server): readonly [number, number, number] {
  const [, major, minor, patch] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(server.version) ?? []
  return [Number(major ?? 0), Number(minor ?? 0), Number(patch ?? 0)]
}

export function isAtLeast(server: Server, wanted: readonly [number, number, number]): boolean {
  const found = versionOf(server)
  const at = found.findIndex((part, index) => part !== wanted[index])
  return at === -1 || (found[at] ?? 0) > (wanted[at] ?? 0)
}

export function isOn(facts: Facts, variable: string): boolean {
  return /^(on|1|yes)$/i.test(facts.variables.get(variable) ?? '')
}

export function finding(severity: Severity, code: FindingCode, cause: string, remedy: string): Finding {
  return { code, severity, side: 'source', cause, remedy }
}

/** `a, b, c and 4 more`. */
export function someOf(names: readonly string[], most = 5): string {
  const shown = names.slice(0, most).join(', ')
  return names.length > most ? `${shown} and ${names.length - most} more` : shown
}
