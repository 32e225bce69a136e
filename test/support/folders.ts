import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { shared } from '@mylab-sync/testkit'

/** A folder of a file's tests, which goes with the last of them; to be called at the file's top level. */
export function sharedFolder(name: string): Promise<string> {
  return shared(mkdtempSync(join(tmpdir(), `mylab-sync-${name}-`)), (folder) => rmSync(folder, { recursive: true }))
}
