// node scripts/run-tests.mjs unit|server|FILE...   Runs built test files with node's own runner; fails when none is found.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'

const root = new URL('..', import.meta.url).pathname
const [what = 'unit', ...rest] = process.argv.slice(2)

// From the sources, since dist keeps the output of files that are gone.
function* sources(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      if (entry.name !== 'node_modules' && entry.name !== 'dist') yield* sources(path)
    } else if (entry.name.endsWith('.test.ts')) yield path
  }
}

function built(source) {
  const inside = relative(root, source).replace(/\.ts$/, '.js')
  return join(
    root,
    inside.startsWith('test/') ? inside.replace('test/', 'test/dist/') : inside.replace('/src/', '/dist/'),
  )
}

const all = ['packages', 'apps', 'test'].flatMap((folder) => [...sources(join(root, folder))]).map(built)
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
// Server tests mostly wait: two files at once take half of the time.
const concurrency = 2
const { status } = spawnSync(
  process.execPath,
  ['--enable-source-maps', '--test', `--test-concurrency=${concurrency}`, ...chosen],
  { stdio: 'inherit', cwd: root },
)
process.exit(status ?? 1)
