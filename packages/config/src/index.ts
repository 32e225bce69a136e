/**
 * One declaration of the configuration: file, environment, defaults, and the faults of all three. Does not read
 * process.env or cwd itself.
 */
export type { TlsFiles } from './tls-files.js'
export { loadConfig, LOG_LEVELS, type LogLevel, type ResolvedConfig } from './config.js'
export type { ConfigInput } from './environment.js'
export { SECRETS, type Setting, SETTINGS } from './settings.js'
export { type Answers, type ServerUrls, suggestedAnswers, typedSource, typedTarget } from './answers.js'
export { type WrittenConfig, writtenConfig } from './written-config.js'
export { addVariables, type AddedVariables } from './dot-env.js'
