import { closeSync, constants, fstatSync, futimesSync, openSync } from 'node:fs'

const BEAT_MS = 5_000
/** In a folder that others write to: through no link, and without waiting, which whoever opens a pipe does for ever, signals or not. */
const HOW = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * Touches the file now and every 5 s while the event loop turns: its age tells an orchestrator that the process works, or
 * is stuck, without asking any database. What is in it stays. Throws where there is no file to be touched at the start.
 * Returns what ends it.
 */
export function beat(path: string): () => void {
  touch(path)
  const timer = setInterval(() => {
    try {
      touch(path)
    } catch {
      // A full disk is no reason to end: the file grows old, which says the same.
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
