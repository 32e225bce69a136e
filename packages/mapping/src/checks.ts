import type { ColumnMapping, TableMapping } from '@mylab-sync/core'
import { isText } from './columns.js'
import { isGarbled, shownLiteral } from './mysql-literals.js'
import { findNamed, quotePg, quoteText } from './names.js'

interface Token {
  readonly kind: 'name' | 'word' | 'number' | 'text' | 'symbol'
  readonly text: string
}

/** Types whose values both servers compare alike. */
type Family = 'number' | 'text' | 'time'

interface Operand {
  readonly sql: string
  readonly family: Family
  readonly literal: boolean
}

class Untranslatable extends Error {}

/** Translates a CHECK of the source into a PostgreSQL expression; null unless it has one of the few forms that mean the same in both. */
export function translateCheck(expression: string, mapping: TableMapping): string | null {
  try {
    const parser = new CheckParser(tokenize(expression), mapping)
    return parser.whole()
  } catch (error) {
    if (error instanceof Untranslatable) return null
    throw error
  }
}

function tokenize(source: string): Token[] {
  const pattern =
    /\s+|`((?:[^`]|``)+)`|(_\w+\s*)?(?:'((?:[^'\\]|'')*)'|\\'([^'\\]*)\\')|(\d+(?:\.\d+)?)(?![\w.])|([A-Za-z_]\w*)|(<>|!=|<=|>=|&&|\|\||[-<>=(),])/gy
  const tokens: Token[] = []
  while (pattern.lastIndex < source.length) {
    const match = pattern.exec(source)
    if (match === null) throw new Untranslatable()
    const [, name, charset, quoted, escaped, number, word, symbol] = match
    const text = literalText({ charset, quoted, escaped })
    if (name !== undefined) tokens.push({ kind: 'name', text: name.replaceAll('``', '`') })
    else if (text !== undefined) tokens.push({ kind: 'text', text })
    else if (number !== undefined) tokens.push({ kind: 'number', text: number })
    else if (word !== undefined) tokens.push({ kind: 'word', text: word.toLowerCase() })
    else if (symbol !== undefined) tokens.push({ kind: 'symbol', text: symbol })
  }
  return tokens
}

/** Undefined if the token is not a literal. */
function literalText(
  shown: Readonly<Record<'charset' | 'quoted' | 'escaped', string | undefined>>,
): string | undefined {
  const { charset, quoted, escaped } = shown
  if (quoted === undefined && escaped === undefined) return undefined
  const text = quoted?.replaceAll("''", "'") ?? shownLiteral(charset, escaped ?? '')
  if (text === null || isGarbled(text)) throw new Untranslatable()
  return text
}

class CheckParser {
  readonly #tokens: readonly Token[]
  readonly #mapping: TableMapping
  #at = 0

  constructor(tokens: readonly Token[], mapping: TableMapping) {
    this.#tokens = tokens
    this.#mapping = mapping
  }

  whole(): string {
    const sql = this.#or()
    if (this.#at !== this.#tokens.length) throw new Untranslatable()
    return sql
  }

  #or(): string {
    const parts = [this.#and()]
    while (this.#take('or')) parts.push(this.#and())
    return parts.length === 1 ? parts.join('') : `(${parts.join(' OR ')})`
  }

  #and(): string {
    const parts = [this.#not()]
    while (this.#take('and') || this.#take('&&')) parts.push(this.#not())
    return parts.length === 1 ? parts.join('') : `(${parts.join(' AND ')})`
  }

  #not(): string {
    return this.#take('not') ? `NOT (${this.#not()})` : this.#predicate()
  }

  #predicate(): string {
    const start = this.#at
    if (this.#take('(')) {
      try {
        const inner = this.#or()
        this.#need(')')
        return `(${inner})`
      } catch (error) {
        if (!(error instanceof Untranslatable)) throw error
        this.#at = start
      }
    }
    const left = this.#operand()
    if (this.#take('is')) {
      const not = this.#take('not')
      this.#need('null')
      return `${left.sql} IS ${not ? 'NOT ' : ''}NULL`
    }
    const not = this.#take('not') ? 'NOT ' : ''
    if (this.#take('between')) {
      const low = this.#comparable(left, this.#operand(), true)
      this.#need('and')
      return `${left.sql} ${not}BETWEEN ${low} AND ${this.#comparable(left, this.#operand(), true)}`
    }
    if (this.#take('in')) return `${left.sql} ${not}IN (${this.#list(left).join(', ')})`
    if (not !== '') throw new Untranslatable()
    const operator = ['=', '<>', '!=', '<=', '>=', '<', '>'].find((symbol) => this.#take(symbol))
    if (operator === undefined) throw new Untranslatable()
    const right = this.#operand()
    return `${left.sql} ${operator === '!=' ? '<>' : operator} ${this.#comparable(left, right, !/^(=|<>|!=)$/.test(operator))}`
  }

  #list(left: Operand): string[] {
    this.#need('(')
    const items = [this.#comparable(left, this.#operand(), false)]
    while (this.#take(',')) items.push(this.#comparable(left, this.#operand(), false))
    this.#need(')')
    return items
  }

  /** Text has no common order: the servers' collations differ. */
  #comparable(left: Operand, right: Operand, ordered: boolean): string {
    if (left.literal && right.literal) throw new Untranslatable()
    const time = left.family === 'time' && right.literal && right.family === 'text' && isMoment(right.sql.slice(1, -1))
    if (left.family !== right.family && !time) throw new Untranslatable()
    if (ordered && left.family === 'text') throw new Untranslatable()
    return right.sql
  }

  #operand(): Operand {
    if (this.#take('(')) {
      const inner = this.#operand()
      this.#need(')')
      return inner
    }
    if (this.#take('-')) return this.#negative()
    const token = this.#tokens[this.#at]
    if (token === undefined) throw new Untranslatable()
    this.#at += 1
    if (token.kind === 'number') return { sql: token.text, family: 'number', literal: true }
    if (token.kind === 'text') return { sql: quoteText(token.text), family: 'text', literal: true }
    if (token.kind === 'word' && /^(char_length|character_length)$/.test(token.text) && this.#take('(')) {
      const inner = this.#operand()
      this.#need(')')
      if (inner.family !== 'text' || inner.literal) throw new Untranslatable()
      return { sql: `char_length(${inner.sql})`, family: 'number', literal: false }
    }
    return this.#column(token)
  }

  /** MySQL prints -(5). */
  #negative(): Operand {
    const inner = this.#operand()
    if (inner.family !== 'number' || !inner.literal || inner.sql.startsWith('-')) throw new Untranslatable()
    return { ...inner, sql: `-${inner.sql}` }
  }

  #column(token: Token): Operand {
    const column =
      token.kind === 'symbol' ? undefined : findNamed(this.#mapping.columns, token.text, ({ source }) => source.name)
    if (column === undefined) throw new Untranslatable()
    return { sql: quotePg(column.name), family: family(column), literal: false }
  }

  #take(text: string): boolean {
    const token = this.#tokens[this.#at]
    if (token?.text !== text || (token.kind !== 'word' && token.kind !== 'symbol')) return false
    this.#at += 1
    return true
  }

  #need(text: string): void {
    if (!this.#take(text)) throw new Untranslatable()
  }
}

/** A date or time that PostgreSQL parses as the source does: written in full, and an existing day. */
function isMoment(text: string): boolean {
  const match = /^(\d{4})-(\d\d)-(\d\d)(?: ([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?)?$/.exec(text)
  if (match === null || match[1] === '0000') return false
  const [year, month, day] = match.slice(1, 4).map(Number)
  const date = new Date(Date.UTC(2000, (month ?? 0) - 1, day))
  date.setUTCFullYear(year ?? 0, (month ?? 0) - 1, day)
  return date.getUTCMonth() + 1 === month && date.getUTCDate() === day
}

function family({ source, type }: ColumnMapping): Family {
  if (/^(smallint|integer|bigint|numeric|real|double)/.test(type)) return 'number'
  if (/^(date$|timestamp)/.test(type)) return 'time'
  if ((isText(source) || source.dataType === 'enum') && /^(text|character varying)/.test(type)) return 'text'
  throw new Untranslatable()
}
