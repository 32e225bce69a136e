import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export type ServiceName = 'mariadb' | 'postgres' | 'redis'

const PROGRAMS: Readonly<Record<ServiceName, readonly string[]>> = {
  mariadb: ['mariadbd', 'mariadb-install-db'],
  postgres: ['postgres', 'initdb'],
  redis: ['redis-server'],
}
const PACKAGES: Readonly<Record<ServiceName, readonly string[]>> = {
  mariadb: ['mariadb-server-core', 'mariadb-client-core'],
  postgres: ['postgresql'],
  redis: ['redis-server'],
}
const SIZES: Readonly<Record<ServiceName, string>> = { mariadb: '10 MB', postgres: '75 MB', redis: '2 MB' }

/** Path of an installed program; looks where distributions put servers, newest PostgreSQL first. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin', '/usr/bin']
  const postgres = '/usr/lib/postgresql'
  if (existsSync(postgres)) {
    const versions = readdirSync(postgres).sort((a, b) => Number(b) - Number(a))
    folders.unshift(...versions.map((version) => join(postgres, version, 'bin')))
  }
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

/** As findProgram. Throws an Error that names the packages where the program is missing. */
export function program(name: string): string {
  const path = findProgram(name)
  if (!path) throw new Error(`${name} is not installed. ${manualCommand(Object.keys(PACKAGES) as ServiceName[])}`)
  return path
}

function manualCommand(services: readonly ServiceName[]): string {
  const packages = services.flatMap((service) => PACKAGES[service])
  return `On Debian or Ubuntu: sudo apt-get install --no-install-recommends ${packages.join(' ')}`
}

/** Installs the packages of services whose programs are missing (Debian, Ubuntu, as root). Says what and how large before. Throws an Error with the exact command where it cannot. */
export function ensureInstalled(services: readonly ServiceName[], say: (line: string) => void): void {
  const missing = services.filter((service) => PROGRAMS[service].some((name) => !findProgram(name)))
  if (missing.length === 0) return
  if (process.platform !== 'linux' || !existsSync('/usr/bin/apt-get') || process.getuid?.() !== 0) {
    throw new Error(`missing servers: ${missing.join(', ')}. ${manualCommand(missing)}`)
  }
  const packages = missing.flatMap((service) => PACKAGES[service])
  say(`installing ${packages.join(' ')} (about ${missing.map((service) => SIZES[service]).join(' + ')})`)
  withoutDaemons(() => {
    apt(['update', '-qq'])
    apt(['install', '-y', '-qq', '--no-install-recommends', ...packages])
  })
  const still = missing.filter((service) => PROGRAMS[service].some((name) => !findProgram(name)))
  if (still.length > 0)
    throw new Error(`still missing after the installation: ${still.join(', ')}. ${manualCommand(still)}`)
}

function apt(args: readonly string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const { status, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`apt-get ${args.join(' ')} failed:\n${stderr.slice(-2000)}`)
}

/** Keeps the packages' own daemons and clusters from starting, and puts back what it found. */
function withoutDaemons(install: () => void): void {
  const policy = '/usr/sbin/policy-rc.d'
  const hadPolicy = existsSync(policy)
  const config = '/etc/postgresql-common'
  const cluster = join(config, 'createcluster.conf')
  const before = existsSync(cluster) ? readFileSync(cluster, 'utf8') : undefined
  if (!hadPolicy) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  spawnSync('mkdir', ['-p', config])
  writeFileSync(cluster, `${before ?? ''}\ncreate_main_cluster = false\n`)
  try {
    install()
  } finally {
    if (!hadPolicy) rmSync(policy, { force: true })
    if (before === undefined) rmSync(cluster, { force: true })
    else writeFileSync(cluster, before)
  }
}
