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
export type { Finding, Severity } from './model/finding.js'
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
  ConstraintViolated,
  type ErrorCode,
  SyncError,
  type SyncErrorOptions,
  keysAlike,
  TableBroken,
  TargetTableUnfit,
  ValueRefused,
} from './errors.js'
export { isOfPattern, MANY, ONE, signsOf } from './wildcards.js'
export { HARMED_LOG, HIGHEST_OWN_ID, MALFORMED_ENTRY } from './ports/source.js'
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
  RowKey,
  SnapshotEntries,
  SnapshotRows,
  SnapshotWatermarks,
  Source,
  SourceAdmin,
  SourceDefinitions,
  SourceSnapshot,
  TableFingerprint,
  TriggerTarget,
} from './ports/source.js'
export type {
  ConstraintState,
  CreatedObjects,
  LockHolder,
  OutdatedObject,
  TableHindrance,
  Target,
  TargetAdmin,
  TargetConstraints,
  TargetDefinition,
  TargetTables,
} from './ports/target.js'
export type {
  Chunk,
  ChunkStore,
  DrainHistory,
  KeyPage,
  LastDrain,
  ParkedKey,
  ParkedKeys,
  ParkedParent,
  QuarantinedKey,
  QuarantinedRow,
  QuarantineStore,
  ReferencedValues,
  RefusedRow,
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
