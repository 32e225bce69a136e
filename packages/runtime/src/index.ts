/** The process around the work: how it is asked to end. */
export { beat } from './heartbeat.js'
export { listenForShutdown, type Shutdown } from './shutdown.js'
