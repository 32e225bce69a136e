/**
 * All that speaks PostgreSQL: connections, our state tables, table definitions, COPY and drains' writes.
 * Decides nothing of the protocol, and knows no source.
 */
export type { TargetSettings } from './connection/database.js'
export { createTarget } from './target.js'
