// npm test: installs and builds what is missing, then runs every test; the tests start real servers themselves.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { prepare } from './prepare.mjs'

const NOT_THERE = 3

prepare()
run('unit')
// done once here, with one message if it fails; otherwise every test file would try, two at a time
const { cacheFolder, installServers } = await import('../packages/testkit/dist/index.js')
try {
  await installServers((line) => process.stderr.write(`${line}\n`))
} catch (error) {
  process.stderr.write(`npm test: ${error.message}\n`)
  process.exit(1)
}
run('server')
// After the tests, when nothing else uses the machine.
runBuilt('small bench', ['test/dist/bench/main.js', 'smoke'])
if (!process.env.TEST_MYSQL_ROOT && !process.env.SYNC_TEST_MYSQL_URL) {
  const mysql = mysqlRoot()
  if (mysql === null) process.stderr.write('\nNOT TESTED ON MYSQL: this machine finds no package of it (see above)\n')
  else run('mysql', { TEST_MYSQL_ROOT: mysql, PROPERTY_SECONDS: process.env.PROPERTY_SECONDS ?? '10' })
}

function run(kind, env = {}) {
  runBuilt(`${kind} tests`, ['scripts/run-tests.mjs', kind], env)
}

function runBuilt(what, args, env = {}) {
  process.stderr.write(`\nnpm test: ${what}\n`)
  const options = { stdio: 'inherit', env: { ...process.env, ...env } }
  const { status } = spawnSync(process.execPath, args, options)
  if (status !== 0) process.exit(status ?? 1)
}

/** The root of a MySQL in our cache, unpacked now if missing; null if this machine's packages have none. */
function mysqlRoot() {
  const folder = join(cacheFolder(), 'mysql')
  const program = join(folder, 'root/usr/sbin/mysqld')
  if (spawnSync(program, ['--version']).status === 0) return join(folder, 'root')
  mkdirSync(cacheFolder(), { recursive: true })
  process.stderr.write(`\nnpm test: unpacking MySQL below ${folder}: 50 MB to download, 270 MB on disk\n`)
  const { status } = spawnSync('bash', ['scripts/unpack-server.sh', 'mysql', folder], { stdio: 'inherit' })
  if (status === 0) return join(folder, 'root')
  if (status === NOT_THERE || status === null) return null
  process.stderr.write(
    'npm test: MySQL could not be unpacked; TEST_MYSQL_ROOT or SYNC_TEST_MYSQL_URL names another one\n',
  )
  process.exit(1)
}
