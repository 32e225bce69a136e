// npm test: installs and builds what is missing, then runs every test; real servers are started by the tests themselves.
import { spawnSync } from 'node:child_process'
import { prepare } from './prepare.mjs'

prepare()
run('unit')
// once, and with one message where it cannot be done: every test file would try by itself, two at a time
const { installServers } = await import('../packages/testkit/dist/index.js')
try {
  await installServers((line) => process.stderr.write(`${line}\n`))
} catch (error) {
  process.stderr.write(`npm test: ${error.message}\n`)
  process.exit(1)
}
run('server')

function run(kind) {
  const { status } = spawnSync(process.execPath, ['scripts/run-tests.mjs', kind], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
