import { join } from 'node:path'
import { isExternal } from './external-server.js'
import { locate, postgresFolders } from './locate.js'
import { MARIADB } from './mariadb.js'
import { manualCommands, thisSystem } from './manual.js'
import { MYSQL } from './mysql.js'
import { installPackages, unpackPackages } from './packages.js'
import { POSTGRES } from './postgres.js'
import { REDIS } from './redis.js'
import { runCommand } from './run-command.js'
import type { Installation, ServiceKind, ServiceName } from './service.js'

/** Folders of servers unpacked by `scripts/unpack-server.sh` (with `usr` in them), used instead of the installed ones. */
const { TEST_MYSQL_ROOT: mysqlRoot, TEST_MARIADB_ROOT: mariadbRoot, TEST_POSTGRES_ROOT: postgresRoot } = process.env

/** The service `mariadb` is the source, of either vendor. */
export const KINDS: Readonly<Record<ServiceName, ServiceKind>> = {
  mariadb: mysqlRoot
    ? only(MYSQL, join(mysqlRoot, 'usr/sbin'))
    : only(MARIADB, mariadbRoot && join(mariadbRoot, 'usr/sbin')),
  postgres: only(POSTGRES, postgresRoot && (postgresFolders(postgresRoot)[0] ?? postgresRoot)),
  redis: REDIS,
}

function only(kind: ServiceKind, folder: string | undefined): ServiceKind {
  return folder ? { ...kind, folder } : kind
}

/**
 * Finds the programs of these services. Missing ones are installed from the distribution's packages: by apt as root, else
 * unpacked into the user's cache. Throws an Error with the exact commands if neither is possible.
 */
export async function provideServers(
  services: readonly ServiceName[],
  say: (line: string) => void,
): Promise<ReadonlyMap<ServiceName, Installation>> {
  if (process.platform !== 'linux') {
    throw new Error(`private servers run on Linux only. ${manualCommands(services, thisSystem())}`)
  }
  const found = await locateAll(services)
  const missing = services.filter((service) => !found.has(service))
  if (missing.length === 0) return found
  for (const { title, folder } of missing.map((service) => KINDS[service])) {
    if (folder !== undefined) throw new Error(`no working ${title} in ${folder}`)
  }
  const failures = await fetchPackages(missing, say)
  for (const [service, installation] of await locateAll(missing)) found.set(service, installation)
  const still = services.filter((service) => !found.has(service))
  if (still.length === 0) return found
  const reasons = failures.map(({ message }) => message.trim()).join('\n')
  throw new Error(`not installed: ${still.join(', ')}: ${reasons}\n${manualCommands(still, thisSystem())}`)
}

/**
 * Installs everything missing at once, before many processes need servers. Skips services that the environment gives by URL.
 */
export async function installServers(say: (line: string) => void): Promise<void> {
  const services = (Object.keys(KINDS) as ServiceName[]).filter((service) => !isExternal(service))
  if (services.length > 0) await provideServers(services, say)
}

async function locateAll(services: readonly ServiceName[]): Promise<Map<ServiceName, Installation>> {
  const found = new Map<ServiceName, Installation>()
  for (const service of services) {
    const installation = await locate(KINDS[service])
    if (installation) found.set(service, installation)
  }
  return found
}

/** Root tries apt first and, if that would remove a package, unpacks like any other user. */
async function fetchPackages(services: readonly ServiceName[], say: (line: string) => void): Promise<Error[]> {
  const apt = await runCommand('apt-get', ['--version']).catch(() => undefined)
  if (apt?.code !== 0) return [new Error('this machine has no apt-get')]
  const failures: Error[] = []
  const ways = process.getuid?.() === 0 ? [installPackages, unpackPackages] : [unpackPackages]
  for (const fetch of ways) {
    try {
      await fetch(services, say)
      return failures
    } catch (error) {
      failures.push(error instanceof Error ? error : new Error(String(error)))
    }
  }
  return failures
}
