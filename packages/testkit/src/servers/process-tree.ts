import { readdirSync, readFileSync } from 'node:fs'

/** A process and its current children; empty if it has ended. PostgreSQL's sessions are such children. */
export function withChildren(pid: number): number[] {
  return isAlive(pid) ? [pid, ...childrenOf(pid)] : []
}

/** False for a process that has ended, including a zombie. */
export function isAlive(pid: number): boolean {
  const state = stateOf(`/proc/${pid}/stat`)
  return state !== undefined && state !== 'Z' && state !== 'X'
}

/** True if no thread of it runs, which is so some time after a SIGSTOP, or if it has ended. */
export function isStopped(pid: number): boolean {
  return threadsOf(pid).every((thread) => {
    const state = stateOf(`/proc/${pid}/task/${thread}/stat`)
    return state === undefined || state === 'T' || state === 't' || state === 'Z' || state === 'X'
  })
}

/** Sends the signal to the processes that still exist. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // it has ended meanwhile
    }
  }
}

function childrenOf(pid: number): number[] {
  const listed = read(`/proc/${pid}/task/${pid}/children`).trim()
  return listed === '' ? [] : listed.split(' ').map(Number)
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

/** The state letter, after the name, which may contain brackets and blanks; undefined if there is no such process. */
function stateOf(path: string): string | undefined {
  const stat = read(path)
  return stat.slice(stat.lastIndexOf(')') + 2)[0]
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
