import { readdirSync } from 'node:fs'
import { register } from 'node:module'

interface Change {
  /** Of the built code: the package, and the file below its `dist`. */
  readonly file: string
  /** Occurs exactly once, or the mutant fails: it cannot rot. */
  readonly find: string
  readonly replace: string
}

/** The product without one rule of the protocol. Each is a file of `test/mutants`, whose name is the rule's. */
export interface Mutant {
  readonly changes: readonly Change[]
}

export const MUTANTS: readonly string[] = readdirSync(new URL('../mutants/', import.meta.url))
  .filter((name) => name.endsWith('.js') && !name.endsWith('.test.js'))
  .map((name) => name.slice(0, -'.js'.length))

/** Throws where a mutant's text does not occur exactly once. */
export function mutate({ changes }: Mutant, file: string, code: string): string {
  return changes
    .filter((change) => change.file === file)
    .reduce((before, { find, replace }) => {
      const [head, tail, ...more] = before.split(find)
      if (head === undefined || tail === undefined || more.length > 0)
        throw new Error(`the mutant's text occurs ${before.split(find).length - 1} times in ${file}: ${find}`)
      return `${head}${replace}${tail}`
    }, code)
}

let isRegistered = false

/**
 * A second instance of a test module and of everything below it that is ours, in which the product lacks one rule: the
 * module's tests are the same ones, and the first instance stays whole.
 */
export async function importMutant<T>(rule: string, module: string): Promise<T> {
  if (!MUTANTS.includes(rule)) throw new Error(`no such mutant: ${rule}`)
  if (!isRegistered) register('./mutant-loader.js', import.meta.url)
  isRegistered = true
  return (await import(`${module}?mutant=${rule}`)) as T
}
