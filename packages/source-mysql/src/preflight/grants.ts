import { matchesWildcards, MANY, ONE } from '@mylab-sync/core'
import * as sql from '../sql.js'

/** One line of SHOW GRANTS about a database or one of its tables, without rights on single columns. */
interface Grant {
  readonly kind: 'GRANT' | 'REVOKE'
  readonly rights: ReadonlySet<string>
  readonly database: string
  readonly table: string
}

const LINE = /^(GRANT|REVOKE) (.+?) ON (?:TABLE )?(\*|`(?:[^`]|``)+`)\.(\*|`(?:[^`]|``)+`) (?:TO|FROM) /

function grantOf(line: string): Grant[] {
  const [, kind, rights = '', database = '', table = ''] = LINE.exec(line) ?? []
  if (kind !== 'GRANT' && kind !== 'REVOKE') return []
  const listed = rights
    .replace(/\w[\w ]* ?\([^)]*\)/g, '')
    .split(',')
    .map((right) => right.trim().toUpperCase())
  return [{ kind, rights: new Set(listed), database: unquoted(database), table: unquoted(table) }]
}

function unquoted(name: string): string {
  return name.startsWith('`') ? name.slice(1, -1).replaceAll('``', '`') : name
}

/** A grant names its database by a pattern with `%`, `_` and backslash escapes. */
function matchesPattern(pattern: string, database: string): boolean {
  const signs = [...pattern.matchAll(/\\([%_\\])|(%)|(_)|(.)/gsu)]
  return matchesWildcards(
    database,
    signs.map(([, escaped, many, one, sign]) => (many ? MANY : one ? ONE : (escaped ?? sign ?? ''))),
  )
}

/** The rights on one database, from the lines of SHOW GRANTS, including those of active roles. */
export class Grants {
  readonly #grants: readonly Grant[]
  readonly #database: string
  readonly #isLiteral: boolean

  /** `isLiteral`: with MySQL's `partial_revokes`, database names are not patterns. */
  constructor(lines: readonly string[], database: string, isLiteral = false) {
    this.#isLiteral = isLiteral
    this.#grants = lines.flatMap(grantOf)
    this.#database = database
  }

  /** The database as a GRANT must name it: an unescaped `_` or `%` would grant the right on other databases too. */
  get place(): string {
    const name = this.#isLiteral ? this.#database : this.#database.replaceAll(/[_%\\]/g, '\\$&')
    return `${sql.name(name)}.*`
  }

  #covers(pattern: string): boolean {
    if (pattern === '*') return true
    return this.#isLiteral ? pattern === this.#database : matchesPattern(pattern, this.#database)
  }

  /** On all databases. */
  global(right: string): boolean {
    return this.#grants.some((grant) => grant.kind === 'GRANT' && grant.database === '*' && allows(grant, right))
  }

  /** On the database or on any of its tables, ignoring partial revokes. */
  anywhere(right: string): boolean {
    return this.#grants.some((grant) => grant.kind === 'GRANT' && allows(grant, right) && this.#covers(grant.database))
  }

  /** On a table of the database; null means all tables, including future ones. */
  on(right: string, table: string | null): boolean {
    const revoked = this.#grants.some(
      (grant) => grant.kind === 'REVOKE' && grant.database === this.#database && allows(grant, right),
    )
    return this.#grants.some((grant) => {
      if (grant.kind === 'REVOKE' || !allows(grant, right)) return false
      if (grant.database === '*') return !revoked
      if (grant.table === '*') return this.#covers(grant.database)
      return grant.database === this.#database && grant.table === table
    })
  }
}

function allows(grant: Grant, right: string): boolean {
  return grant.rights.has(right) || grant.rights.has('ALL PRIVILEGES') || grant.rights.has('ALL')
}
