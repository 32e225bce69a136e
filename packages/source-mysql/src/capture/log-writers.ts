import type { Session } from '../connection/session.js'
import type { SourceSettings } from '../settings.js'
import * as sql from '../sql.js'
import { BYPASS_VARIABLE } from './trigger-text.js'

/** A trigger whose body names the change log: every write to its table fails once the log is dropped. */
export interface LogWriter {
  readonly schema: string
  readonly name: string
  readonly table: string
  /** It does nothing else: a trigger of this product, a schema change tool's copy of one, or the older package's. */
  readonly onlyLogs: boolean
}

/**
 * All triggers of the server that name the change log, whatever their own names: schema change tools copy triggers under
 * other names, and a trigger in another database may qualify the log's name. The server hides triggers on tables for which
 * the account lacks TRIGGER.
 */
export async function logWriters(session: Session, { database, auditTable }: SourceSettings): Promise<LogWriter[]> {
  const [setting] = await session.rows("SHOW GLOBAL VARIABLES LIKE 'lower_case_table_names'")
  const folded = setting?.[1] === '0' ? (name: string): string => name : (name: string): string => name.toLowerCase()
  const log = { database: folded(database), table: folded(auditTable) }
  const rows = await session.definitions(
    `SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_STATEMENT, SQL_MODE FROM information_schema.TRIGGERS
     WHERE LOCATE(${sql.text(auditTable.toLowerCase())}, LOWER(ACTION_STATEMENT)) > 0 ORDER BY TRIGGER_SCHEMA <> ${sql.text(database)}, 1, 2`,
  )
  return rows.flatMap(([schema, name, table, body, mode]) => {
    const words = wordsOf(body ?? '', (mode ?? '').includes('ANSI_QUOTES'))
    if (!namesTable(words, folded(schema ?? ''), { ...log, folded })) return []
    return [{ schema: schema ?? '', name: name ?? '', table: table ?? '', onlyLogs: isOnlyInsert(words) }]
  })
}

export function dropTrigger({ schema, name }: LogWriter, { database }: SourceSettings): string {
  return `DROP TRIGGER IF EXISTS ${schema === database ? '' : `${sql.name(schema)}.`}${sql.name(name)}`
}

interface Word {
  readonly text: string
  readonly isQuoted: boolean
}

const WORDS =
  /'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|--[ \t].*|#.*|\/\*(?!M?!)[\s\S]*?\*\/|`(?:[^`]|``)*`|@?[\w$\u0080-\uffff]+|[^\s]/g

/** The names and symbols of a statement, without string literals and comments. */
export function wordsOf(body: string, ansiQuotes: boolean): Word[] {
  return [...body.matchAll(WORDS)].flatMap(([piece]): Word[] => {
    const quote = piece[0]
    if (piece.length > 1 && (quote === '`' || (quote === '"' && ansiQuotes)))
      return [{ text: piece.slice(1, -1).replaceAll(quote + quote, quote), isQuoted: true }]
    const isSilent = piece.length > 1 && /^(['"#]|--|\/\*)/.test(piece)
    return isSilent ? [] : [{ text: piece, isQuoted: false }]
  })
}

interface Log {
  readonly database: string
  readonly table: string
  readonly folded: (name: string) => string
}

/** An unqualified name refers to the trigger's own database. */
export function namesTable(words: readonly Word[], schema: string, { database, table, folded }: Log): boolean {
  return words.some(({ text }, at) => {
    if (folded(text) !== table) return false
    if (words[at - 1]?.text !== '.') return schema === database
    return folded(words[at - 2]?.text ?? '') === database
  })
}

const OURS = ['IF', BYPASS_VARIABLE.toUpperCase(), 'IS', 'NULL', 'THEN']

/** A single INSERT: alone, between BEGIN and END, or under the bypass condition. */
export function isOnlyInsert(words: readonly Word[]): boolean {
  const texts = words.map(({ text, isQuoted }) => (isQuoted ? '' : text.toUpperCase()))
  while (texts.at(-1) === ';') texts.pop()
  const statement = withoutFrame(texts)
  return statement[0] === 'INSERT' && !statement.includes(';')
}

/** The text between the bypass condition and `; END IF`, or between BEGIN and `; END`. */
function withoutFrame(texts: readonly string[]): readonly string[] {
  if (OURS.every((word, at) => texts[at] === word)) return texts.slice(OURS.length, -3)
  return texts[0] === 'BEGIN' ? texts.slice(1, -2) : texts
}
