// npm run cases -- FOLDER...: installs and builds what is missing, then runs the built case runner.
import { spawnSync } from 'node:child_process'
import { prepare } from './prepare.mjs'

prepare()
const { status, signal } = spawnSync(process.execPath, ['test/dist/case-runner/main.js', ...process.argv.slice(2)], {
  stdio: 'inherit',
})
process.exit(signal ? 143 : (status ?? 1))
