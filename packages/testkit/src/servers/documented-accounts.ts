import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { ACCOUNT } from './service.js'

/** One side's account name and password. */
export interface Login {
  readonly user: string
  readonly password: string
}

const README = new URL('../../../../README.md', import.meta.url)

/**
 * The README's statements for the administrators of both servers, for the product's account and database. They are read from
 * the README itself: if tests granted rights of their own, a right missing there would go unnoticed.
 */
export class DocumentedAccounts {
  readonly source: Login
  readonly target: Login
  readonly #account: { readonly source: string; readonly target: string }
  readonly #rights: readonly string[]
  readonly #database: string

  /** `shared`: others use the servers too. Throws if the README's blocks do not have the expected form. */
  constructor(shared: boolean) {
    const readme = readFileSync(README, 'utf8')
    const source = documented(readme, 'source')
    const target = documented(readme, 'target')
    const user = shared ? `sync_${randomBytes(4).toString('hex')}` : 'sync_product'
    const login = { user, password: ACCOUNT.password }
    this.source = login
    this.target = login
    const [createUser = '', ...rights] = source
    const [createRole = '', createDatabase = ''] = target
    this.#account = {
      source: fitted(createUser, /^CREATE USER 'sync'@'%' IDENTIFIED BY 'secret'$/, login),
      target: fitted(createRole, /^CREATE ROLE sync LOGIN PASSWORD 'secret'$/, login),
    }
    this.#rights = rights.map((grant) => fitted(grant, /^GRANT [A-Z, ]+ ON (clinic|\*)\.\* TO 'sync'@'%'$/, login))
    this.#database = fitted(createDatabase, /^CREATE DATABASE clinic OWNER sync\b/, login)
  }

  async createOnSource(admin: mysql.Connection): Promise<void> {
    await admin.query(this.#account.source)
  }

  async createOnTarget(admin: pg.Client): Promise<void> {
    await admin.query(this.#account.target)
  }

  /** Grants on one database of the source, whose name may contain wildcards of GRANT. */
  async grantOnSource(admin: mysql.Connection, database: string): Promise<void> {
    for (const grant of this.#rights)
      await admin.query(grant.replace('clinic.*', () => `${databasePattern(database)}.*`))
  }

  /** The additional grant that the README requires for `uninstall` and `migrate --adopt`. */
  async grantDrop(admin: mysql.Connection, database: string): Promise<void> {
    await admin.query(`GRANT DROP ON ${databasePattern(database)}.* TO ${mysql.escape(this.source.user)}@'%'`)
  }

  /** The README's CREATE DATABASE. */
  targetDatabase(name: string): string {
    return this.#database.replace('clinic', () => pg.escapeIdentifier(name))
  }

  /** Drops the source's account. The databases that it owns in the target must be dropped first. */
  async dropOnSource(admin: mysql.Connection): Promise<void> {
    await admin.query(`DROP USER ${mysql.escape(this.source.user)}@'%'`)
  }

  async dropOnTarget(admin: pg.Client): Promise<void> {
    await admin.query(`DROP ROLE ${pg.escapeIdentifier(this.target.user)}`)
  }
}

function databasePattern(database: string): string {
  return mysql.escapeId(database.replaceAll(/[_%]/g, '\\$&'), true)
}

/** The statements of the block marked for this side. */
function documented(readme: string, side: 'source' | 'target'): string[] {
  const block = new RegExp(`^ *\`\`\`sql ${side}\\n(.*?)^ *\`\`\`$`, 'ms').exec(readme)?.[1]
  if (block === undefined) throw new Error(`README.md has no block "sql ${side}"`)
  return block
    .split(/;\s*/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}

function fitted(statement: string, form: RegExp, { user, password }: Login): string {
  if (!form.test(statement)) throw new Error(`README.md: ${statement || 'nothing'} instead of ${form.source}`)
  return statement.replace(/(?<= ')sync(?='@)|(?<=\b(?:ROLE|OWNER) )sync\b/, user).replace("'secret'", `'${password}'`)
}
