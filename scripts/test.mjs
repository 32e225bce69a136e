// npm test: installs and builds what is missing, then runs every test; real servers are started by the tests themselves.
import { spawnSync } from 'node:child_process'
import { prepare } from './prepare.mjs'

prepare()
for (const kind of ['unit', 'server']) {
  const { status } = spawnSync(process.execPath, ['scripts/run-tests.mjs', kind], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
