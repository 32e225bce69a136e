/**
 * The vocabulary and the pure rules: table model, mappings, life cycle, ports, errors.
 * No input or output, no dependency; everything else may import it.
 */
export { batchesOf } from './batches.js'
export { HexDigits } from './hex-digits.js'
export { counted } from './counted.js'
export {
  isActionEdge,
  type ColumnDefault,
  type IndexPart,
  type OtherObjects,
  type ReferentialAction,
  type SourceCatalog,
  type SourceCheck,
  type SourceColumn,
  type SourceForeignKey,
  type SourceIndex,
  type SourceTable,
  type TableFault,
} from './model/source-table.js'
export type {
  CheckPlan,
  ColumnMapping,
  Convert,
  Edge,
  IndexPlan,
  KeyColumn,
  KeyMapping,
  NotCarried,
  NotCarriedKind,
  Note,
  ReadRule,
  Refusal,
  SanitisingRule,
  TableMapping,
  TableObjects,
  TokenRule,
} from './model/mapping.js'
export type { Finding, FindingCode, Severity } from './model/finding.js'
export {
  forgetsKeys,
  isBeingOpened,
  isCarried,
  isKept,
  isOpen,
  parksKeys,
  TABLE_STATES,
  type TableEvent,
  type TableState,
  transition,
} from './model/life-cycle.js'
export {
  BatchRefused,
  concernsAll,
  ConstraintViolated,
  type ErrorCode,
  ERRORS,
  isLockTimeout,
  isRetryable,
  isStopped,
  isSurvivable,
  isTransient,
  keysAlike,
  type Retry,
  SyncError,
  type SyncErrorOptions,
  TableBroken,
  TargetTableUnfit,
  ValueRefused,
} from './errors.js'
export { matchesWildcards, MANY, ONE, codePointsOf } from './wildcards.js'
export { DAMAGED_LOG, KEPT_DAYS, MAX_OWN_ID } from './ports/source.js'
export type {
  Acknowledgement,
  Capture,
  CatalogReader,
  ChangeEntry,
  ChangeLog,
  DrainName,
  KeyRange,
  LogPosition,
  PendingSummary,
  PollResult,
  RawRow,
  RepairedIds,
  SnapshotEntries,
  SnapshotRows,
  SnapshotWatermarks,
  Source,
  SourceAdmin,
  SourceDefinitions,
  SourceSnapshot,
  TableFingerprint,
  TriggerTarget,
  UnsyncedEntry,
} from './ports/source.js'
export type {
  ConstraintState,
  CounterState,
  CreatedObjects,
  LockHolder,
  OutdatedObject,
  TableHindrance,
  Target,
  TargetAdmin,
  MissingCounter,
  TargetConstraints,
  TargetDefinition,
  TargetTables,
} from './ports/target.js'
export type {
  DifferingKey,
  TableVerification,
  VerificationStep,
  VerificationStore,
  VerifiedMoments,
  VerifyPace,
  WholeComparison,
} from './ports/verification-store.js'
export type { ReportRecord, ReportStore } from './ports/report-store.js'
export type {
  Chunk,
  ChunkStore,
  DrainHistory,
  DrainRange,
  KeyPage,
  LastDrain,
  ProgressChange,
  MultisetDifference,
  ParkedKey,
  ParkedKeys,
  ParkedParent,
  QuarantinedKey,
  QuarantinedRow,
  QuarantineStore,
  ReferencedValues,
  RefusedRow,
  RowDifference,
  RowError,
  RowLookup,
  RowWriter,
  SanitisedCount,
  TableProgress,
  TableStore,
  TargetRow,
  TargetTransaction,
  UniqueHolder,
  UpsertOutcome,
} from './ports/target-transaction.js'
export {
  isLoopback,
  type Line,
  lineFindings,
  TLS_FILE_UNFIT,
  TLS_HANDSHAKE,
  TLS_NOT_OFFERED,
  type TlsCure,
  tlsFault,
  tlsReason,
} from './lines.js'
export {
  AddressRefused,
  parsePlace,
  parseServerUrl,
  type Place,
  placeText,
  type ServerAddress,
} from './server-address.js'
export {
  type LineState,
  NO_TLS,
  TLS_MODES,
  type TlsMode,
  type TlsSettings,
} from './tls.js'
export { isJson } from './is-json.js'
export { NO_DRAIN, type RowKey, type SourceTableName, type TargetTableName, WHOLE_TABLE } from './names.js'
