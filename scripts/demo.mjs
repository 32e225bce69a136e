// npm run demo [-- --once]: prepares, then hands over to the built demo.
import { spawnSync } from 'node:child_process'
import { prepare } from './prepare.mjs'

prepare()
const { status, signal } = spawnSync(
  process.execPath,
  ['packages/testkit/dist/demo/main.js', ...process.argv.slice(2)],
  {
    stdio: 'inherit',
  },
)
process.exit(signal ? 143 : (status ?? 1))
