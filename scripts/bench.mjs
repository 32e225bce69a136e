// npm run bench [-- name...]: installs and builds what is missing, then runs the built benchmarks.
import { spawnSync } from 'node:child_process'
import { prepare } from './prepare.mjs'

prepare()
const { status, signal } = spawnSync(process.execPath, ['test/dist/bench/main.js', ...process.argv.slice(2)], {
  stdio: 'inherit',
})
process.exit(signal ? 143 : (status ?? 1))
