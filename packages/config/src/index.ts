/** One declaration of the configuration: file, environment, defaults, and the faults of all three. Reads no process state by itself. */
export { type ConfigInput, loadConfig, type ResolvedConfig } from './config.js'
