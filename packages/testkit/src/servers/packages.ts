import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder } from './locate.js'
import { mustRun, runCommand } from './run-command.js'
import type { ServiceName } from './service.js'

type Say = (line: string) => void

// The "core" packages contain programs without a daemon; Debian's redis-tools contains the server under another name.
const PACKAGES: Readonly<Record<Exclude<ServiceName, 'postgres'>, readonly string[]>> = {
  mariadb: ['mariadb-server-core', 'mariadb-client-core'],
  redis: ['redis-tools'],
}

// No daemon may start and no cluster may be created on port 5432. Both files are removed however this ends, even if our own
// process dies meanwhile: hence a shell and not a `finally`.
const INSTALL = `
set -e
policy=/usr/sbin/policy-rc.d
cluster=/etc/postgresql-common/createcluster.d/mylab-sync-tests.conf
undo() { [ -z "$made" ] || rm -f "$policy"; rm -f "$cluster"; rmdir --ignore-fail-on-non-empty "\${cluster%/*}"; }
trap undo EXIT
trap 'exit 130' INT TERM HUP
if [ ! -e "$policy" ]; then made=1; printf '#!/bin/sh\\nexit 101\\n' > "$policy"; chmod 755 "$policy"; fi
mkdir -p "\${cluster%/*}"
echo 'create_main_cluster = false' > "$cluster"
apt-get install -y -qq --no-install-recommends --no-remove -o DPkg::Lock::Timeout=300 "$@"
`

/** Installs by apt, as root, after announcing packages and size. Throws if apt refuses, for example to remove a package. */
export async function installPackages(services: readonly ServiceName[], say: Say): Promise<void> {
  say(`not installed: ${services.join(', ')}; asking apt`)
  await runCommand('apt-get', ['update', '-qq'])
  const packages = await packageNames(services)
  say(`installing with apt: ${packages.join(' ')}; ${await announced(packages)}`)
  const started = performance.now()
  await mustRun('/bin/sh', ['-c', INSTALL, 'install', ...packages])
  say(`installed in ${seconds(started)}`)
}

/**
 * Downloads packages and their missing dependencies by apt, without root and without changing the system, and unpacks them
 * into our cache. They come from the machine's own suites, so they run on its C library.
 */
export async function unpackPackages(services: readonly ServiceName[], say: Say): Promise<void> {
  const final = join(cacheFolder(), `packages-${[...services].sort().join('-')}`)
  const folder = `${final}.part-${process.pid}`
  try {
    const environment = { APT_CONFIG: await privateApt(folder) }
    say(`not installed: ${services.join(', ')}; asking apt, without root`)
    await runCommand('apt-get', ['update', '-qq'], { environment })
    const packages = await packageNames(services, environment)
    await leaveOut(folder, packages, environment)
    say(`downloading for ${final}: ${packages.join(' ')}; ${await announced(packages, environment)}`)
    const started = performance.now()
    await mustRun('apt-get', ['install', '-y', '-qq', '--no-install-recommends', '-d', ...packages], environment)
    const archives = join(folder, 'cache/archives')
    for (const name of await readdir(archives)) {
      if (name.endsWith('.deb')) await mustRun('dpkg-deb', ['-x', join(archives, name), join(folder, 'root')])
    }
    for (const name of ['lists', 'cache']) await rm(join(folder, name), { recursive: true })
    // Another process may have been faster, and its folder is equivalent.
    await rename(folder, final).catch(() => {})
    say(`unpacked in ${seconds(started)}`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function seconds(since: number): string {
  return `${Math.round((performance.now() - since) / 1000)} s`
}

/** PostgreSQL's package name contains its version, which the distribution chooses. */
async function packageNames(services: readonly ServiceName[], environment = {}): Promise<string[]> {
  const names = services.map(async (service) => {
    if (service !== 'postgres') return PACKAGES[service]
    const { output } = await runCommand('apt-cache', ['depends', 'postgresql'], { environment })
    const name = /Depends: (postgresql-\d+)/.exec(output)?.[1]
    if (!name) throw new Error('apt has no package postgresql')
    return [name]
  })
  return (await Promise.all(names)).flat()
}

/** How much apt would download and use, in its own words. */
async function announced(packages: readonly string[], environment = {}): Promise<string> {
  const args = ['install', '--assume-no', '--no-install-recommends', '--no-remove', ...packages]
  const { output } = await runCommand('apt-get', args, { environment })
  const sentences = output.split('\n').filter((line) => /^(Need to get|After this operation)/.test(line))
  return sentences.join(' ').replace(' Do you want to continue? [Y/n] N', '') || 'size unknown'
}

/** A private apt: lists, cache and a copy of the status file in `folder`, sources and keys of the machine. */
async function privateApt(folder: string): Promise<string> {
  for (const path of ['lists/partial', 'cache/archives/partial', 'root'])
    await mkdir(join(folder, path), { recursive: true })
  await writeFile(join(folder, 'status'), await readFile('/var/lib/dpkg/status'))
  const settings = [
    `Dir::State "${folder}";`,
    `Dir::State::lists "${folder}/lists";`,
    `Dir::State::status "${folder}/status";`,
    `Dir::Cache "${folder}/cache";`,
    `Dir::Log "${folder}";`,
    'APT::Sandbox::User "";',
    'Acquire::Languages "none";',
  ]
  const file = join(folder, 'apt.conf')
  await writeFile(file, `${settings.join('\n')}\n`)
  return file
}

/** Marks packages that our servers do not use as installed in the private apt: a third of the download. */
async function leaveOut(folder: string, packages: readonly string[], environment: object): Promise<void> {
  const { output } = await runCommand('apt-cache', ['depends', ...packages], { environment: { ...environment } })
  const compiler = [...output.matchAll(/Depends: (libllvm\S+)/g)].map((match) => match[1] ?? '')
  const unused = ['perl', 'locales', 'debconf', 'adduser', 'ssl-cert', 'postgresql-common', 'postgresql-client-common']
  const status = await readFile(join(folder, 'status'), 'utf8')
  const architecture = (await mustRun('dpkg', ['--print-architecture'])).trim()
  const present = [...unused, ...compiler]
    .filter((name) => !status.includes(`Package: ${name}\nStatus: install ok installed`))
    .map((name) =>
      [
        `Package: ${name}`,
        'Status: install ok installed',
        'Maintainer: nobody <nobody@localhost>',
        `Architecture: ${architecture}`,
        'Multi-Arch: allowed',
        'Version: 999:1',
        'Description: left out',
      ].join('\n'),
    )
  await writeFile(join(folder, 'status'), `${status.trimEnd()}\n\n${present.join('\n\n')}\n`)
}
