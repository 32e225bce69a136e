import { spawnSync } from 'node:child_process'
import { chownSync, mkdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'

export interface ServerUser {
  readonly uid: number
  readonly gid: number
}

/** The user for servers, which refuse to run as root: an unprivileged one for root, undefined (the same user) for others. */
export function serverUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined
  const entries = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  for (const name of ['postgres', 'mysql', 'nobody']) {
    const entry = entries.find((fields) => fields[0] === name)
    if (entry) return { uid: Number(entry[2]), gid: Number(entry[3]) }
  }
  throw new Error('servers cannot run as root, and none of the users postgres, mysql and nobody exists')
}

export function ownedFolder(path: string, user: ServerUser | undefined): void {
  mkdirSync(path, { recursive: true, mode: 0o755 })
  if (user) chownSync(path, user.uid, user.gid)
}

/** The parent of temporary folders: the system's, or /tmp if the servers' user may not enter that. */
export function temporaryRoot(user: ServerUser | undefined): string {
  const chosen = tmpdir()
  const { status } = spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', chosen], { ...user, cwd: '/', stdio: 'ignore' })
  return status === 0 ? chosen : '/tmp'
}
