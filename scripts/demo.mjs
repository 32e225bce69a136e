// npm run demo [-- --once]: prepares, then hands over to the built demo.
import { spawn } from 'node:child_process'
import { prepare } from './prepare.mjs'

prepare()
const demo = spawn(process.execPath, ['packages/testkit/dist/demo/main.js', ...process.argv.slice(2)], {
  stdio: 'inherit',
})
// From a terminal it gets the signal by itself; from anybody else only through us. Its own end is ours.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => demo.kill(signal))
demo.once('exit', (code, signal) => process.exit(signal ? 143 : (code ?? 1)))
