/**
 * The foundation of demo, tests and benches: real servers, datasets, seeded randomness. Never imported by production code.
 */
export { CLINIC_STATEMENTS } from './datasets/clinic.js'
export { demonstrate } from './demo/demo.js'
export type { Login } from './servers/documented-accounts.js'
export { Authority, type Certificate } from './servers/certificates.js'
export { eventually } from './eventually.js'
export { freePort } from './free-port.js'
export { NetworkNamespace } from './network/namespace.js'
export { Proxy } from './network/proxy.js'
export { random, type Random } from './random.js'
export type { Backup, PrivateServer } from './servers/private-server.js'
export { cacheFolder, locateProgram } from './servers/locate.js'
export { installServers } from './servers/provide.js'
export {
  type DatabaseNames,
  type ServerAccess,
  ServerSet,
  type ServerSetOptions,
  type SourceAccess,
  type TargetConnection,
} from './servers/server-set.js'
export { shared, sharedServers } from './shared-servers.js'
export { shiftedClock } from './shifted-clock.js'
export type { ServiceName } from './servers/service.js'
