/** One line of SHOW GRANTS about a database or one of its tables; rights on single columns are left out. */
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

/** A grant on a database names it by a pattern: `%`, `_`, and a backslash before what is meant literally. */
function covers(pattern: string, database: string): boolean {
  if (pattern === '*') return true
  const source = pattern.replace(/\\([%_])|[%_]|[.*+?^${}()|[\]\\]/g, (part: string, literal: string | undefined) => {
    if (literal !== undefined) return literal
    if (part === '%') return '.*'
    return part === '_' ? '.' : `\\${part}`
  })
  return new RegExp(`^${source}$`, 's').test(database)
}

/** What the lines of SHOW GRANTS, those of active roles included, allow on one database. */
export class Grants {
  readonly #grants: readonly Grant[]
  readonly #database: string

  constructor(lines: readonly string[], database: string) {
    this.#grants = lines.flatMap(grantOf)
    this.#database = database
  }

  /** On all databases. */
  global(right: string): boolean {
    return this.#grants.some((grant) => grant.kind === 'GRANT' && grant.database === '*' && allows(grant, right))
  }

  /** On the database or on one of its tables, whatever was revoked in part. */
  anywhere(right: string): boolean {
    return this.#grants.some(
      (grant) => grant.kind === 'GRANT' && allows(grant, right) && covers(grant.database, this.#database),
    )
  }

  /** On a table of the database; null: on all of them, those to come included. */
  on(right: string, table: string | null): boolean {
    const revoked = this.#grants.some(
      (grant) => grant.kind === 'REVOKE' && grant.database === this.#database && allows(grant, right),
    )
    return this.#grants.some((grant) => {
      if (grant.kind === 'REVOKE' || !allows(grant, right)) return false
      if (grant.database === '*') return !revoked
      if (grant.table === '*') return covers(grant.database, this.#database)
      return grant.database === this.#database && grant.table === table
    })
  }
}

function allows(grant: Grant, right: string): boolean {
  return grant.rights.has(right) || grant.rights.has('ALL PRIVILEGES') || grant.rights.has('ALL')
}
