import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { fault } from './fault.js'

/** No file of settings and no secret is nearly as long. */
const MOST_BYTES = 1 << 20
const ABSENT = new Set(['ENOENT', 'ENOTDIR'])

/**
 * The text of a file; null: there is none. Opened without waiting, since whoever reads a pipe that nobody writes to hears no
 * signal either. Throws SyncError configuration for what is no file of a moderate size.
 */
export function readText(path: string, name = path): string | null {
  const descriptor = opened(path, name)
  if (descriptor === null) return null
  try {
    const found = fstatSync(descriptor)
    if (!found.isFile()) throw fault(`${name}: found something else than a file, expected a file`)
    if (found.size > MOST_BYTES) throw fault(`${name}: found a file of more than 1 MB, expected a smaller one`)
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
