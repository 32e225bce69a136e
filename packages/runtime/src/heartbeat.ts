import { closeSync, constants, fstatSync, futimesSync, openSync } from 'node:fs'

const BEAT_MS = 5_000
/**
 * Safe in a folder that others can write to: does not follow links, and does not block on a pipe, where open() would
 * hang forever and ignore signals.
 */
const HOW = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * Touches the file now and every 5 s while the event loop turns: from its age an orchestrator can tell a working
 * process from a stuck one without querying a database. The file's content is kept. Throws if the path cannot be
 * touched now. Returns a function that stops the heartbeat.
 */
export function beat(path: string): () => void {
  touch(path)
  const timer = setInterval(() => {
    try {
      touch(path)
    } catch {
      // A full disk is no reason to exit: the file grows old, which conveys the same.
    }
  }, BEAT_MS)
  timer.unref()
  return () => clearInterval(timer)
}

function touch(path: string): void {
  const file = openSync(path, HOW, 0o644)
  try {
    if (!fstatSync(file).isFile()) throw new Error('not a file')
    const now = new Date()
    futimesSync(file, now, now)
  } finally {
    closeSync(file)
  }
}
