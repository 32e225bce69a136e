import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'

const root = new URL('..', import.meta.url)

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], cwd: root })
  if (error || status !== 0) {
    process.stderr.write(`${[command, ...args].join(' ')} failed${error ? `: ${error.message}` : ''}\n`)
    process.exit(status ?? 1)
  }
}

/** Installs node modules when they are missing or older than the lock file, and builds. */
export function prepare() {
  const installed = new URL('node_modules/.package-lock.json', root)
  const lock = new URL('package-lock.json', root)
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
    process.stderr.write('npm ci: about 150 MB from the npm registry, 300 MB on disk in node_modules\n')
    run('npm', ['ci', '--no-audit', '--no-fund'])
  }
  run(process.execPath, ['node_modules/typescript/bin/tsc', '-b'])
}
