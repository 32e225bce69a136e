/**
 * The dashboard: one page about all tables, figures for Prometheus, probes, and the queues' board. It shows and relays;
 * whatever decides about tables is in the engine. It knows no driver, no argv and no environment.
 */
export type { ActionName, Actions, BoardQueue, Connection, DashboardOptions, QueueCount } from './options.js'
export { runDashboard } from './run.js'
