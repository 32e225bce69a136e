import { readdirSync, readFileSync } from 'node:fs'

/** A process and its children, those that exist now; empty where it is gone. PostgreSQL's sessions are such children. */
export function withChildren(pid: number): number[] {
  return isAlive(pid) ? [pid, ...childrenOf(pid)] : []
}

/** False for a process that is gone and for one that only waits to be collected by its parent. */
export function isAlive(pid: number): boolean {
  const state = stateOf(`/proc/${pid}/stat`)
  return state !== undefined && state !== 'Z' && state !== 'X'
}

/** True once no thread of it runs, which a SIGSTOP brings about some time after it was sent; and of a process that is gone. */
export function isStopped(pid: number): boolean {
  return threadsOf(pid).every((thread) => {
    const state = stateOf(`/proc/${pid}/task/${thread}/stat`)
    return state === undefined || state === 'T' || state === 't' || state === 'Z' || state === 'X'
  })
}

/** Sends the signal to those that still exist. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // it ended by itself meanwhile
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

/** The letter behind the name, which may hold brackets and blanks itself; undefined where there is no such process. */
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
