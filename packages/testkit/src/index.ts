/**
 * What demo, tests and benches stand on: real servers, datasets, seeded chance. Never imported by production code.
 */
export { CLINIC_STATEMENTS } from './datasets/clinic.js'
export { eventually } from './eventually.js'
export { freePort } from './free-port.js'
export { random, type Random } from './random.js'
export type { ServiceName } from './servers/binaries.js'
export { ServerSet, type ServerSetOptions } from './servers/server-set.js'
