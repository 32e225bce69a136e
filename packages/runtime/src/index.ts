/** The process around the work: how it is asked to end, how it shows that it lives, what it says, how it notices that nobody answers. */
export { beat } from './heartbeat.js'
export { createLog, type Log } from './log.js'
export { watchSilence } from './silence.js'
export { listenForShutdown, type Shutdown } from './shutdown.js'
export { openSocket, peek, timedOut } from './dial.js'
export {
  identityError,
  NOT_OFFERED,
  readTlsMaterial,
  tlsFault,
  type TlsMaterial,
  tlsOptions,
  TlsRefused,
  tlsRemedy,
  verifies,
  weakLine,
} from './tls.js'
