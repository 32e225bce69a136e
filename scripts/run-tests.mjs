// node scripts/run-tests.mjs unit|server|mysql|FILE...   Runs built test files with Node's test runner; fails if none is found.
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { LONGEST_TITLE, lengthOf } from './check-titles.mjs'

const root = new URL('..', import.meta.url).pathname
const [what = 'unit', ...rest] = process.argv.slice(2)

/** Files that `npm test` also runs on MySQL: all that depend on how the source reads, compares and reports. By file name. */
const ON_MYSQL = [
  'packages/source-mysql/',
  'test/dist/integration/small-tables.',
  'test/dist/integration/cases.',
  'test/dist/integration/corpora.',
  'test/dist/integration/definition',
  'test/dist/integration/digest-mutants.',
  'test/dist/integration/encrypted-lines.',
  'test/dist/integration/every-command.',
  'test/dist/integration/hostile-accounts.',
  'test/dist/integration/key',
  'test/dist/integration/silent-losses.',
  'test/dist/integration/verify.',
  'test/dist/property/',
]

/** The longest files start first: one that starts last runs half of its time alone. */
const LONGEST_FIRST = [
  'test/dist/property/protocol',
  'test/dist/integration/secrets.',
  'test/dist/integration/ends.',
  'test/dist/integration/reconcile.',
  'test/dist/fault/taken-up.',
  'test/dist/integration/usage.',
  'test/dist/integration/queue.',
  'test/dist/integration/documents.',
  'test/dist/fault/crash.',
  'test/dist/fault/fleet.',
  'test/dist/fault/chaos.',
  'test/dist/fault/back-in-time.',
  'test/dist/integration/cases.',
  'test/dist/integration/queue-memory.',
  'test/dist/integration/queue-payloads.',
  'test/dist/integration/bad-input.',
  'test/dist/integration/definition',
  'test/dist/integration/demo.',
  'test/dist/integration/doctor.',
  'test/dist/integration/deployment.',
]

/** Files that mostly wait for deadlines, with a processor idle for two thirds of their time: one of them runs beside the others. */
const WAITING = [
  'packages/source-mysql/dist/source.server.',
  'packages/target-postgres/dist/adapt.server.',
  'test/dist/fault/clock.',
  'test/dist/fault/held-locks.',
  'test/dist/fault/line.',
  'test/dist/fault/taken-up.',
  'test/dist/integration/care.',
  'test/dist/integration/change-log.',
  'test/dist/integration/encrypted-redis-and-page.',
  'test/dist/integration/ends.',
]

// Listed from the sources, since dist keeps the output of deleted files.
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
  return inside.startsWith('test/') ? inside.replace('test/', 'test/dist/') : inside.replace('/src/', '/dist/')
}

const all = ['packages', 'apps', 'test'].flatMap((folder) => [...sources(join(root, folder))]).map(built)
const needsServer = (path) =>
  path.endsWith('.server.test.js') || (path.startsWith('test/dist/') && !path.startsWith('test/dist/mutants/'))
const place = (path) => {
  const at = LONGEST_FIRST.findIndex((start) => path.startsWith(start))
  return at === -1 ? LONGEST_FIRST.length : at
}

function chosen() {
  if (what === 'unit') return all.filter((path) => !needsServer(path))
  if (what === 'server') return all.filter(needsServer)
  if (what === 'mysql')
    return all.filter((path) => needsServer(path) && ON_MYSQL.some((start) => path.startsWith(start)))
  return [what, ...rest]
}

const files = chosen().sort((a, b) => place(a) - place(b))
if (files.length === 0) {
  process.stderr.write(`no ${what} test found: is everything built?\n`)
  process.exit(1)
}
process.chdir(root)
process.execArgv.push('--enable-source-maps') // each file's own process gets it
// check-titles.mjs sees only literal titles; the length of computed ones is checked here.
const refuseLongTitle = ({ name }) => {
  if (files.some((file) => name.endsWith(file)) || lengthOf(name) <= LONGEST_TITLE) return
  process.stderr.write(`test title of ${lengthOf(name)} characters, expected at most ${LONGEST_TITLE}: ${name}\n`)
  process.exitCode = 1
}
const isWaiting = (path) => WAITING.some((start) => path.startsWith(start))
// Each file needs about half of a processor: three at once keep two of them busy.
runLane({ files: files.filter((path) => !isWaiting(path)), concurrency: 3 })
runLane({ files: files.filter(isWaiting), concurrency: 1 })

function runLane(lane) {
  if (lane.files.length === 0) return
  const stream = run(lane)
  stream.on('test:fail', ({ todo }) => {
    if (todo === undefined) process.exitCode = 1
  })
  stream.on('test:pass', refuseLongTitle)
  stream.compose(new spec()).pipe(process.stdout)
}
