import { writeFileSync } from 'node:fs'

const BEAT_MS = 5_000

/**
 * Writes the file now and every 5 s while the event loop turns: its age tells an orchestrator that the process works, or
 * is stuck, without asking any database. Throws where the file cannot be written at the start. Returns what ends it.
 */
export function beat(path: string): () => void {
  writeFileSync(path, '')
  const timer = setInterval(() => {
    try {
      writeFileSync(path, '')
    } catch {
      // A full disk is no reason to end: the file grows old, which says the same.
    }
  }, BEAT_MS)
  timer.unref()
  return () => clearInterval(timer)
}
