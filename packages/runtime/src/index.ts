/** The process around the work: shutdown, heartbeat, log, and detection of connections that no longer answer. */
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
