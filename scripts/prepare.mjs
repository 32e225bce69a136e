import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'

const root = new URL('..', import.meta.url)

function run(command, args, remedy = '') {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], cwd: root })
  if (error || status !== 0) {
    const what = [command, ...args].join(' ')
    process.stderr.write(
      `${what} failed${error ? `: ${error.message}` : ''}\n${remedy === '' ? '' : `  try: ${remedy}\n`}`,
    )
    process.exit(status ?? 1)
  }
}

/** Checked before anything is downloaded: npm itself would only warn. */
function requireNode() {
  const { engines } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'))
  const numbers = (version) => (/\d+(?:\.\d+)*/.exec(version)?.[0] ?? '').split('.').map(Number)
  const [wanted, own] = [numbers(engines.node), numbers(process.versions.node)]
  const at = wanted.findIndex((number, index) => number !== own[index])
  if (at === -1 || own[at] > wanted[at]) return
  process.stderr.write(
    `this is Node ${process.versions.node}, and ${wanted.join('.')} or newer is needed: https://nodejs.org/en/download\n`,
  )
  process.exit(1)
}

/** Installs node modules when they are missing or older than the lock file, and builds. */
export function prepare() {
  requireNode()
  const installed = new URL('node_modules/.package-lock.json', root)
  const lock = new URL('package-lock.json', root)
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
    process.stderr.write('npm ci: about 150 MB from the npm registry, 300 MB on disk in node_modules\n')
    run(
      'npm',
      ['ci', '--no-audit', '--no-fund'],
      'npm ping, which says whether the registry answers; behind a proxy: npm config set proxy URL',
    )
    process.stderr.write('building\n')
  }
  run(process.execPath, ['node_modules/typescript/bin/tsc', '-b'])
  run(process.execPath, ['scripts/bundle.mjs'])
}
