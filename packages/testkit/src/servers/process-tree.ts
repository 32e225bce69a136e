import { readFileSync } from 'node:fs'

/** A process and its children, those that exist now; empty where it is gone. PostgreSQL's sessions are such children. */
export function withChildren(pid: number): number[] {
  return isAlive(pid) ? [pid, ...childrenOf(pid)] : []
}

/** False for a process that is gone and for one that only waits to be collected by its parent. */
export function isAlive(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`)
  const state = stat.slice(stat.lastIndexOf(')') + 2)[0]
  return state !== undefined && state !== 'Z' && state !== 'X'
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

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
