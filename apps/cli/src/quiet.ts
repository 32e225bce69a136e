import { Console } from 'node:console'
import { Writable } from 'node:stream'
import { tellText } from './output.js'
import { exitCodeOf, explain } from './session.js'

/**
 * Drivers write to the console, and Node its warnings, past every log and in words that may quote rows. What we word
 * ourselves is all that gets to the terminal; MYLAB_SYNC_DEBUG=1 shows the rest.
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
  // What nobody has caught is a fault of ours; it ends the process as any other failure does.
  process.on('uncaughtException', (error) => {
    explain(error)
    process.exit(exitCodeOf(error))
  })
}
