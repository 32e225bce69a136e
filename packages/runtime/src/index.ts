/** The process around the work: how it is asked to end, how it shows that it lives, how it notices that nobody answers. */
export { beat } from './heartbeat.js'
export { watchSilence } from './silence.js'
export { listenForShutdown, type Shutdown } from './shutdown.js'
