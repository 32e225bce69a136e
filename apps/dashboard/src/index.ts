/**
 * The dashboard: one page for all tables, Prometheus metrics, probes, and the queue board. It shows and relays; every
 * decision about tables is the engine's. It knows no driver, no argv and no environment.
 */
export type { ActionName, Actions, BoardQueue, Connection, DashboardOptions, QueueCount } from './options.js'
export { runDashboard } from './run.js'
