/**
 * InnoDB stores names of databases and tables encoded as file names. MySQL 9 no longer offers the character set `filename` to
 * statements, so names are decoded here, without the server's table for letters from À to ﬠ: such a letter only matches `@` and
 * two characters. Tables whose names differ only in such letters share their storage numbers and are copied again together.
 * Everything else is exact.
 */

const PLAIN = /^\w+$/
const ODD = /\W/gu
/** Appended to names of devices on other systems: aux, con, nul. */
const DEVICE = '@@@'

function pattern(name: string): string {
  return name.replace(ODD, (char) => {
    const code = `@${(char.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`
    return char < '\x80' ? code : `(?:${code}|@..)`
  })
}

/** A LIKE pattern that matches every encoding of the name, and possibly those of others. */
export function storageLike(name: string): string {
  return name.replace(ODD, '@%').replaceAll('_', '\\_')
}

/** Finds the table of a storage name: `database/table`, followed by `#p#` and the like for a partition. */
export class StorageNames {
  readonly #database: RegExp
  readonly #plain = new Set<string>()
  readonly #odd: { readonly table: string; readonly pattern: RegExp }[] = []

  constructor(database: string, tables: readonly string[]) {
    this.#database = new RegExp(`^${pattern(database)}$`)
    for (const table of tables) {
      if (PLAIN.test(table)) this.#plain.add(table)
      else this.#odd.push({ table, pattern: new RegExp(`^${pattern(table)}$`) })
    }
  }

  /** Several only if their names differ just in letters beyond ASCII. */
  tablesOf(storageName: string): readonly string[] {
    const [database = '', rest = ''] = storageName.split('/', 2)
    if (!this.#database.test(database)) return []
    const [name = ''] = rest.replace(DEVICE, '').split('#', 1)
    if (this.#plain.has(name)) return [name]
    return this.#odd.filter((each) => each.pattern.test(name)).map(({ table }) => table)
  }
}
