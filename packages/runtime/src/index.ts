/** The process around the work: how it is asked to end. */
export { listenForShutdown, type Shutdown } from './shutdown.js'
