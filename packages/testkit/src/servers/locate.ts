import { accessSync, constants, existsSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { runCommand } from './run-command.js'
import type { Installation, ServiceKind } from './service.js'

/** The folder for packages unpacked for this user. For root it is one that the servers' user may enter. */
export function cacheFolder(): string {
  if (process.getuid?.() === 0) return '/var/cache/mylab-sync'
  const home = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  return isWritable(dirname(home)) ? join(home, 'mylab-sync') : join(tmpdir(), `mylab-sync-cache-${process.getuid?.()}`)
}

/** The first program of this kind that runs: on PATH, in the distributions' server folders, then in our own cache. */
export async function locate(kind: ServiceKind): Promise<Installation | undefined> {
  const searched: readonly SearchedPlace[] = kind.folder === undefined ? places() : [{ folder: kind.folder }]
  for (const { folder, libraryPath } of searched) {
    for (const { file, calledAs: alias } of kind.programs) {
      const program = executable(join(folder, file))
      if (!program || !kind.besides.every((name) => executable(join(dirname(program), name)))) continue
      const calledAs = alias ?? program
      const environment = libraryPath ? { LD_LIBRARY_PATH: libraryPath } : {}
      const { output } = await runCommand(program, ['--version'], { environment, calledAs })
      const version = kind.version.exec(output)?.[1]
      if (version) return { program, calledAs, version, ...(libraryPath ? { libraryPath } : {}) }
    }
  }
  return undefined
}

/** The first of these client programs found in the same places, and what it needs to run. */
export async function locateProgram(
  files: readonly string[],
): Promise<{ readonly program: string; readonly libraryPath?: string } | undefined> {
  for (const { folder, libraryPath } of places()) {
    for (const file of files) {
      const program = join(folder, file)
      if (!executable(program)) continue
      const environment = libraryPath ? { LD_LIBRARY_PATH: libraryPath } : {}
      const { output } = await runCommand(program, ['--version'], { environment })
      if (/\d+\.\d+/.test(output)) return { program, ...(libraryPath ? { libraryPath } : {}) }
    }
  }
  return undefined
}

interface SearchedPlace {
  readonly folder: string
  readonly libraryPath?: string
}

function places(): SearchedPlace[] {
  const onPath = (process.env['PATH'] ?? '').split(':').filter((folder) => folder !== '')
  const system = [...onPath, '/usr/sbin', '/usr/local/sbin', '/usr/bin', '/usr/libexec', ...postgresFolders('/')]
  return [...system.map((folder) => ({ folder })), ...unpackedRoots().flatMap(unpackedPlaces)]
}

function unpackedRoots(): string[] {
  const cache = cacheFolder()
  // Below a shared temporary folder another user might have created it, with programs of their own.
  if (!existsSync(cache) || statSync(cache).uid !== process.getuid?.()) return []
  return list(cache)
    .filter((name) => name.startsWith('packages-') && !name.includes('.part'))
    .map((name) => join(cache, name, 'root'))
}

function unpackedPlaces(root: string): SearchedPlace[] {
  const folders = [join(root, 'usr/sbin'), join(root, 'usr/bin'), ...postgresFolders(root)]
  const libraryPath = [join(root, 'usr/lib'), join(root, 'lib')]
    .flatMap((folder) => list(folder).map((name) => join(folder, name)))
    .filter((folder) => /-linux-gnu[^/]*$/.test(folder))
    .join(':')
  return folders.map((folder) => ({ folder, libraryPath }))
}

/** The program folders of all versions below this root, newest first. */
export function postgresFolders(root: string): string[] {
  const folder = join(root, 'usr/lib/postgresql')
  return list(folder)
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(folder, version, 'bin'))
}

/** Resolves links, since PostgreSQL looks for its other programs next to the real file. */
function executable(path: string): string | undefined {
  try {
    accessSync(path, constants.X_OK)
    return realpathSync(path)
  } catch {
    return undefined
  }
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
