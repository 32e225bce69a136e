// npm run demo [-- --once]: installs and builds what is missing, then runs the built demo.
import { spawn } from 'node:child_process'
import { prepare } from './prepare.mjs'

prepare()
const demo = spawn(process.execPath, ['packages/testkit/dist/demo/main.js', ...process.argv.slice(2)], {
  stdio: 'inherit',
})
// A terminal signals the child directly; any other signal reaches it only through us. Exits with the child's code.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => demo.kill(signal))
demo.once('exit', (code, signal) => process.exit(signal ? 143 : (code ?? 1)))
