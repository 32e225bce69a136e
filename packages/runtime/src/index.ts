/** The process around the work: how it is asked to end, and what it says meanwhile. */
export { beat } from './heartbeat.js'
export { createLog, type Log } from './log.js'
export { listenForShutdown, type Shutdown } from './shutdown.js'
