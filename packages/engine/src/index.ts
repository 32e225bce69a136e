/**
 * The use cases over the ports: install, copy, open, drain, look after. Knows no driver and no queue;
 * every function is safe to run twice or at once, on any number of hosts.
 */
export {
  ALL_RULES,
  CRASH_POINTS,
  type CrashPoint,
  type EngineContext,
  type EngineHooks,
  type EngineOptions,
  type Progress,
  type ProtocolRules,
} from './context.js'
export { type CopiedChunk, copyChunk } from './copy-chunk.js'
export { type DaemonOptions, drainAll, type DrainedReport, type IntervalLine, runDaemon } from './daemon.js'
export { type Diagnosis, doctor, type Patient } from './doctor.js'
export { drain } from './drain.js'
export type { DrainReport } from './drain-report.js'
export type { DrainRequest } from './running-drain.js'
export type { InitialRequest } from './ask-for-copy.js'
export { askForCopies, initial, type InitialReport } from './initial.js'
export { migrate, requireMigrated, setupTriggers, type TriggerReport } from './install.js'
export { type DrainSlice, JobHandlers, type JobSignals } from './job-handlers.js'
export { requireTables } from './known-tables.js'
export { maintain } from './maintain.js'
export { loadModel, matches, Model } from './model.js'
export { openComponent } from './open-component.js'
export { KEPT_DAYS } from './clean-up.js'
export { pause } from './pause.js'
export {
  type ErrorsRequest,
  listErrors,
  retryErrors,
  retryFailed,
  type RetryReport,
  type ShownError,
} from './show-errors.js'
export { planChunks } from './plan-chunks.js'
export { listNotCarried, type NotCarriedReport } from './not-carried.js'
export { type NotCarriedGroup, notCarriedGroups } from './not-carried-groups.js'
export { type Plan, plan } from './plan.js'
export type { PlannedTable } from './planned-table.js'
export type { PlanSummary } from './plan-summary.js'
export { pauseTables, resumeTables, resyncTables } from './table-control.js'
export { checkPending, status, type StatusReport, type TableStatus } from './status.js'
export { waitsForSomebody } from './waits.js'
export { type DueWork, tick, type TickLimits } from './tick.js'
export { type CountsReport, type NotCounted, verifyCounts } from './verify-counts.js'
