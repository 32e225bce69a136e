/** The process around the work: shutdown, heartbeat, log, detection of connections that no longer answer, waits and retries. */
export { Behind } from './behind.js'
export { both } from './both.js'
export { endsWithin, withDeadline } from './deadline.js'
export { beat } from './heartbeat.js'
export { createLog, type Log } from './log.js'
export { inLanes } from './lanes.js'
export { OneByOne } from './one-by-one.js'
export { backoffMs, type Pauses, poll, retry, retryUntil } from './retry.js'
export { watchSilence } from './silence.js'
export { aborted, sleep } from './sleep.js'
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
