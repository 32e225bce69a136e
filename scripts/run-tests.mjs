// node scripts/run-tests.mjs unit|server|FILE...   Runs built test files with node's own runner; fails when none is found.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

const root = new URL('..', import.meta.url).pathname
const [what = 'unit', ...rest] = process.argv.slice(2)

function* files(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      if (entry.name !== 'node_modules' && entry.name !== 'src') yield* files(path)
    } else if (path.includes('/dist/') && entry.name.endsWith('.test.js')) yield path
  }
}

const all = ['packages', 'apps', 'test'].flatMap((folder) => [...files(join(root, folder))])
const needsServer = (path) => path.endsWith('.server.test.js') || path.includes('/test/dist/')
const chosen =
  what === 'unit'
    ? all.filter((path) => !needsServer(path))
    : what === 'server'
      ? all.filter(needsServer)
      : [what, ...rest]
if (chosen.length === 0) {
  process.stderr.write(`no ${what} test found: is everything built?\n`)
  process.exit(1)
}
const concurrency = what === 'unit' ? 2 : 1
const { status } = spawnSync(
  process.execPath,
  ['--enable-source-maps', '--test', `--test-concurrency=${concurrency}`, ...chosen],
  { stdio: 'inherit', cwd: root },
)
process.exit(status ?? 1)
