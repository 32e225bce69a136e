import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { shared } from '@mylab-sync/testkit'

/** Creates a folder for a file's tests, removed after the last of them. Call it at the file's top level. */
export function sharedFolder(name: string): Promise<string> {
  return shared(mkdtempSync(join(tmpdir(), `mylab-sync-${name}-`)), (folder) => rmSync(folder, { recursive: true }))
}
