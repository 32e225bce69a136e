import { readFileSync } from 'node:fs'
import type { ServiceName } from './service.js'

/** The facts about a machine that the commands depend on. */
export interface System {
  readonly platform: NodeJS.Platform
  /** The text of /etc/os-release; empty if there is none. */
  readonly release: string
}

export function thisSystem(): System {
  let release = ''
  try {
    release = readFileSync('/etc/os-release', 'utf8')
  } catch {
    // not Linux, or an unusual one
  }
  return { platform: process.platform, release }
}

type Names = Readonly<Record<ServiceName, string>>

interface Family {
  /** ID and ID_LIKE of os-release. */
  readonly ids: readonly string[]
  readonly command: string
  readonly packages: Names
}

// Only families whose servers `locate` can find.
const FAMILIES: readonly Family[] = [
  {
    ids: ['debian', 'ubuntu'],
    command: 'sudo apt-get update && sudo apt-get install --no-install-recommends',
    packages: { mariadb: 'mariadb-server-core mariadb-client-core', postgres: 'postgresql', redis: 'redis-tools' },
  },
  {
    ids: ['fedora', 'rhel', 'centos'],
    command: 'sudo dnf install',
    packages: { mariadb: 'mariadb-server', postgres: 'postgresql-server', redis: 'redis' },
  },
  {
    ids: ['suse', 'opensuse'],
    command: 'sudo zypper install',
    packages: { mariadb: 'mariadb', postgres: 'postgresql-server', redis: 'redis' },
  },
  {
    ids: ['arch'],
    command: 'sudo pacman -S',
    packages: { mariadb: 'mariadb', postgres: 'postgresql', redis: 'redis' },
  },
  {
    ids: ['alpine'],
    command: 'sudo apk add',
    packages: { mariadb: 'mariadb', postgres: 'postgresql', redis: 'redis' },
  },
]

interface Container {
  readonly run: string
  readonly variable: string
}

const CONTAINERS: Readonly<Record<ServiceName, Container>> = {
  mariadb: {
    run: '-p 127.0.0.1:13306:3306 -e MARIADB_ROOT_PASSWORD=sync mariadb:10.11',
    variable: 'SYNC_TEST_MYSQL_URL=mysql://root:sync@127.0.0.1:13306',
  },
  postgres: {
    run: '-p 127.0.0.1:15432:5432 -e POSTGRES_PASSWORD=sync postgres:15',
    variable: 'SYNC_TEST_POSTGRES_URL=postgres://postgres:sync@127.0.0.1:15432',
  },
  redis: { run: '-p 127.0.0.1:16379:6379 redis:7', variable: 'SYNC_TEST_REDIS_URL=redis://127.0.0.1:16379' },
}

/** The exact commands to run manually if nothing else works: install the distribution's packages, or give servers by URL. */
export function manualCommands(services: readonly ServiceName[], system: System): string {
  const family = system.platform === 'linux' ? familyOf(system.release) : undefined
  const packages = family && services.map((service) => family.packages[service]).join(' ')
  const start = 'tart servers of your own anywhere, with Docker for example, name them, and begin again:'
  return [
    ...(family ? ['Install them:', `  ${family.command} ${packages}`, `Or s${start}`] : [`S${start}`]),
    ...services.map((service) => `  docker run -d --name mylab-${service} ${CONTAINERS[service].run}`),
    `  export ${services.map((service) => CONTAINERS[service].variable).join(' ')}`,
  ].join('\n')
}

function familyOf(release: string): Family | undefined {
  const ids = [...release.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].flatMap(([, words = '']) => words.split(' '))
  return FAMILIES.find((family) => family.ids.some((id) => ids.some((own) => own === id || own.startsWith(`${id}-`))))
}
