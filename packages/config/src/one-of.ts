import { fault } from './fault.js'

/** One of the allowed words, in any case; undefined if the variable `name` is not set. Throws SyncError configuration. */
export function oneOf<T extends string>(value: string | undefined, name: string, allowed: readonly T[]): T | undefined {
  if (value === undefined) return undefined
  const found = allowed.find((each) => each === value.toLowerCase())
  if (found) return found
  throw fault(`environment: ${name}: found ${value}, expected ${allowed.slice(0, -1).join(', ')} or ${allowed.at(-1)}`)
}
