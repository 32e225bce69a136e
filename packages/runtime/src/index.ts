/** The process around the work: how it is asked to end, how it shows that it lives, what it says, how it notices that nobody answers. */
export { beat } from './heartbeat.js'
export { createLog, type Log } from './log.js'
export { watchSilence } from './silence.js'
export { visible, visibleLines } from './visible.js'
export { listenForShutdown, type Shutdown } from './shutdown.js'
export { openSocket, peek, timedOut } from './dial.js'
export {
  handshakeCode,
  identityError,
  readTlsMaterial,
  tlsOptions,
  TlsRefused,
  tlsRemedy,
  verifies,
  verifyRemedy,
} from './tls.js'
