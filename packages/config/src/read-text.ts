import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { fault } from './fault.js'

/** Far longer than any settings file or secret. */
const MAX_BYTES = 1 << 20
const ABSENT = new Set(['ENOENT', 'ENOTDIR'])

/**
 * Returns the text of a file, or null if it does not exist. Opens without blocking: opening a pipe that nobody writes
 * to would hang and ignore signals. Throws SyncError configuration if it is not a regular file or is too large.
 */
export function readText(path: string, name = path): string | null {
  const descriptor = opened(path, name)
  if (descriptor === null) return null
  try {
    const found = fstatSync(descriptor)
    if (!found.isFile()) throw fault(`${name}: found something other than a file, expected a file`)
    if (found.size > MAX_BYTES) throw fault(`${name}: found a file of more than 1 MB, expected a smaller one`)
    return readFileSync(descriptor, 'utf8')
  } finally {
    closeSync(descriptor)
  }
}

function opened(path: string, name: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (ABSENT.has(code)) return null
    throw fault(`${name}: cannot be read (${code}), expected a file`)
  }
}
