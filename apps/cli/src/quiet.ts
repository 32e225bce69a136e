import { Console } from 'node:console'
import { Writable } from 'node:stream'
import { exitCodeOf, explain } from './failure.js'
import { tellText } from './output.js'

/**
 * Redirects the console and Node's warnings: drivers write there, bypassing every log, and their text may quote rows.
 * Only our own messages reach the terminal; MYLAB_SYNC_DEBUG=1 shows the rest.
 */
export function quietLibraries(): void {
  const isDebug = process.env['MYLAB_SYNC_DEBUG'] === '1'
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      if (isDebug) tellText(chunk.toString().trimEnd())
      done()
    },
  })
  globalThis.console = new Console(sink)
  if (!isDebug) process.removeAllListeners('warning')
  // An uncaught exception is a bug of ours; it ends the process like any other failure.
  process.on('uncaughtException', (error) => {
    explain(error)
    process.exit(exitCodeOf(error))
  })
}
