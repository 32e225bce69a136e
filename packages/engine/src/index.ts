/**
 * The use cases over the ports: install, copy, open, drain, maintain. The engine knows no driver and no queue. Every
 * function is safe to run repeatedly or concurrently, on any number of hosts.
 */
export {
  copiesAtOnce,
  type EngineContext,
  type EngineOptions,
  type Progress,
} from './context.js'
export { type CopiedChunk, copyChunk } from './copy/copy-chunk.js'
export { type DaemonOptions, drainAll, type DrainedReport, type IntervalLine, runDaemon } from './run/daemon.js'
export { type Diagnosis, doctor, type DoctorInput } from './report/doctor.js'
export { drain } from './drain/drain.js'
export type { DrainReport } from './drain/drain-report.js'
export type { DrainRequest } from './drain/pass.js'
export type { InitialRequest } from './copy/request-copy.js'
export { type DifferingRow, listDiffering, type VerificationStatus } from './report/verification.js'
export { requestDetachedCopies, initial, type InitialReport } from './run/initial.js'
export { migrate, requireFollowing, requireMigrated, setupTriggers, type TriggerReport } from './capture/install.js'
export { type DrainTurn, JobHandlers, type JobSignals } from './run/job-handlers.js'
export { requireTables } from './tables/known-tables.js'
export { maintain } from './upkeep/maintain.js'
export { loadModel } from './model/load.js'
export { Model } from './model/model.js'
export { filterOf } from './model/selection.js'
export { openComponent } from './opening/open-component.js'
export { type SequencesReport, setSequences, type TableSequence } from './upkeep/sequences.js'
export { type ErrorsRequest, listErrors, type ShownError } from './report/show-errors.js'
export { retryErrors, retryFailed, type RetryReport } from './run/retry-quarantined.js'
export { CADENCE } from './run/cadence.js'
export { ControlClock } from './run/control-clock.js'
export { ChunkPacer } from './run/chunk-pacer.js'
export { planChunks } from './copy/plan-chunks.js'
export { listNotCarried, type NotCarriedReport } from './report/not-carried.js'
export { type NotCarriedGroup, notCarriedGroups } from './report/not-carried-groups.js'
export { type Plan, plan } from './report/plan.js'
export { reversePlan, type ReversePlan } from './report/reverse-plan.js'
export type { PlannedTable } from './report/planned-table.js'
export type { PlanSummary } from './report/plan-summary.js'
export { pauseTables, resumeTables, resyncTables } from './run/table-control.js'
export type { Problem, ProblemCode } from './report/problems.js'
export { checkPending, status, type StatusReport, type TableStatus } from './report/status.js'
export { type DueWork, listDueWork } from './run/due-work.js'
export { type Advance, type AdvanceLimits, advanceWalks } from './verify/advance.js'
export type { Findings, FindingsLimits } from './verify/findings.js'
export { TableWalk } from './verify/table-walk.js'
export type { WalkState } from './verify/walk-state.js'
export {
  type AskedVerification,
  type BackgroundStep,
  verifyStep,
} from './verify/background.js'
export {
  type ChainCheck,
  canonicalJson,
  checkChain,
  recordedReports,
  reportText,
  type SealedReport,
  sealReport,
} from './evidence/chain.js'
export { type Evidence, gatherEvidence, type HandOverEvidence } from './evidence/evidence.js'
export { repair, type RepairReport } from './verify/repair.js'
export { verifySince } from './verify/verify-since.js'
export { verify } from './verify/verify.js'
export type { VerifiedTable, VerifyReport } from './verify/verify-report.js'
export { type CountsReport, type NotCounted, verifyCounts } from './report/verify-counts.js'
export { abortCutover, type AbortReport } from './cutover/abort.js'
export { cutOver, type CutoverReport, HANDED_OVER } from './cutover/cut-over.js'
export type { CutoverFinding } from './cutover/finding.js'
export type { HandOverRecord } from './cutover/record.js'
export { listObstacles } from './cutover/obstacles.js'
