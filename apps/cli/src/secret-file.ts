import { SyncError } from '@mylab-sync/core'
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  type Stats,
  writeFileSync,
} from 'node:fs'

const OWNER_ALONE = 0o600
const OF_OTHERS = 0o077

/**
 * A file that holds secrets, or will. Opened once, so that the file that was checked is the file that is written.
 * Throws SyncError configuration if others may read it or if it is a link.
 */
export class SecretFile {
  readonly #descriptor: number
  readonly text: string

  constructor(path: string) {
    this.#descriptor = opened(path)
    try {
      refuseOpen(path, fstatSync(this.#descriptor))
      this.text = readFileSync(this.#descriptor, 'utf8')
    } catch (error) {
      closeSync(this.#descriptor)
      throw error
    }
  }

  write(text: string): void {
    ftruncateSync(this.#descriptor)
    writeFileSync(this.#descriptor, text)
  }

  close(): void {
    closeSync(this.#descriptor)
  }
}

function opened(path: string): number {
  const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants
  try {
    return openSync(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, OWNER_ALONE)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    const found = code === 'ELOOP' ? 'a link to another place' : `an unwritable file (${code})`
    throw refused(path, `found ${found}`, `rm ${path}, or give the passwords in the environment`, cause)
  }
}

function refuseOpen(path: string, found: Stats): void {
  if (!found.isFile() || found.nlink > 1)
    throw refused(path, 'found something other than a file with one name', `rm ${path}`)
  if ((found.mode & OF_OTHERS) !== 0)
    throw refused(
      path,
      `found the mode 0${(found.mode & 0o777).toString(8)}, which others may read`,
      `chmod 600 ${path}`,
    )
}

function refused(path: string, found: string, remedy: string, cause?: unknown): SyncError {
  return new SyncError('configuration', `${path}: ${found}, expected a file of its own with the mode 0600`, {
    remedy,
    cause,
  })
}
