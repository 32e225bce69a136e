import type { ConstraintState, DrainRange, OtherObjects } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { HandOverRecord } from '../cutover/record.js'
import { matcherOf } from '../model/selection.js'
import { readTarget } from '../transactions.js'
import type { VerifiedTable, VerifyReport } from '../verify/verify-report.js'
import { listNotCarried, type TableNotCarried } from '../report/not-carried.js'
import { status } from '../report/status.js'

export const KIND = 'mylab-sync verification report'
export const CUTOVER_KIND = 'mylab-sync cutover report'

/** What only the caller knows. */
export interface EvidenceAbout {
  readonly product: { readonly name: string; readonly version: string }
  readonly instance: string
  /** Names only, neither addresses nor accounts. */
  readonly source: { readonly database: string }
  readonly target: { readonly database: string; readonly schema: string }
  /** The patterns that the tables were chosen by; empty: all. */
  readonly patterns: readonly string[]
  readonly sentence: string
  /** Only the report of a cutover has it. */
  readonly handOver?: HandOverEvidence
}

/** What the cutover did beside comparing. */
export type HandOverEvidence = Omit<HandOverRecord, 'verified'>

export interface EvidenceTable {
  readonly table: string
  readonly result: 'equal' | 'different' | 'not compared'
  /** Why it was not compared. */
  readonly reason: string | null
  /** Rows of the source that were compared. */
  readonly rows: number
  readonly missing: number
  readonly surplus: number
  readonly different: number
  readonly quarantined: number
  /** The moments, by the source's clock, and the drains that the comparison holds for. */
  readonly verifiedSince: string | null
  readonly verifiedAt: string | null
  readonly drains: DrainRange | null
  /** Of its contents, as `digests` says; null: not all of it was compared by digests. */
  readonly digest: VerifiedTable['digest']
}

/** What an auditor needs to judge a verification: counts and names, no key and no value of a row. */
export interface Evidence {
  readonly version: 1
  readonly kind: typeof KIND | typeof CUTOVER_KIND
  readonly product: EvidenceAbout['product']
  readonly createdAt: string
  readonly instance: string
  readonly source: EvidenceAbout['source'] & { readonly server: string }
  readonly target: EvidenceAbout['target'] & { readonly server: string }
  readonly patterns: readonly string[]
  readonly sentence: string
  readonly handOver?: HandOverEvidence
  readonly equal: boolean
  readonly consistentAsOf: string | null
  readonly totals: Readonly<
    Record<
      | 'tables'
      | 'compared'
      | 'rows'
      | 'missing'
      | 'surplus'
      | 'different'
      | 'quarantined'
      | 'sanitisedValues'
      | 'notCarried'
      | 'notVerified',
      number
    >
  >
  readonly tables: readonly EvidenceTable[]
  /** How `digest` of a table is made, or why there is none. */
  readonly digests: string
  readonly exceptions: {
    /** Rows that the target refused. */
    readonly quarantined: readonly { readonly table: string; readonly rows: number }[]
    /** Values that a rule altered to fit, since the installation, by the names of the source. */
    readonly sanitised: readonly {
      readonly table: string
      readonly column: string
      readonly rule: string
      readonly values: number
    }[]
    readonly suspendedConstraints: readonly Pick<ConstraintState, 'table' | 'name' | 'kind'>[]
    readonly notCarried: readonly TableNotCarried[]
    /** Objects of the database beside its tables, counted by kind; null: the account may not see them. */
    readonly otherObjects: OtherObjects['counts']
    /** Selected tables that are not part of `tables`. */
    readonly notVerified: readonly { readonly table: string; readonly state: string; readonly problem: string | null }[]
  }
}

const DIGESTS =
  "Each server computes the SHA-256 of each row's text (its columns in order, joined by |). The digest is the sum of the first 15 hexadecimal digits of all rows, the sum of the next 15, and the number of rows, whatever their order; both servers computed the same. It is null where a part was compared value by value instead: rows that changed meanwhile, tables without a key, and columns whose texts differ between the servers."

/** Composes the report of a verification, or of a cutover, from what both sides know at its end. */
export async function gatherEvidence(
  context: EngineContext,
  verified: VerifyReport,
  about: EvidenceAbout,
): Promise<Evidence> {
  const { source, target, patterns, ...rest } = about
  const tables = verified.tables.map(evidenceOf)
  const exceptions = await exceptionsOf(context, new Set(tables.map(({ table }) => table)), patterns)
  return {
    version: 1,
    kind: about.handOver === undefined ? KIND : CUTOVER_KIND,
    ...rest,
    createdAt: new Date().toISOString(),
    source: { ...source, server: await context.source.admin.version() },
    target: { ...target, server: await context.target.admin.version() },
    patterns,
    equal: verified.equal,
    consistentAsOf: verified.consistentAsOf,
    totals: totalsOf(tables, exceptions),
    tables,
    digests: DIGESTS,
    exceptions,
  }
}

export function isEvidence(value: unknown): value is Evidence {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    (value.kind === KIND || value.kind === CUTOVER_KIND)
  )
}

function evidenceOf({ equal, notCompared, ...table }: VerifiedTable): EvidenceTable {
  const { rows, missing, surplus, different, quarantined, verifiedSince, verifiedAt, drains, digest } = table
  const result = notCompared === null ? (equal ? 'equal' : 'different') : 'not compared'
  const counts = { rows, missing, surplus, different, quarantined }
  return { table: table.table, result, reason: notCompared, ...counts, verifiedSince, verifiedAt, drains, digest }
}

async function exceptionsOf(
  context: EngineContext,
  verified: ReadonlySet<string>,
  patterns: readonly string[],
): Promise<Evidence['exceptions']> {
  const isMeant = patterns.length === 0 ? () => true : matcherOf(patterns)
  const { tables: states } = await status(context)
  const { tables: notCarried, others } = await listNotCarried(context)
  const constraints = await context.target.constraints.all()
  const sanitised = await readTarget(context, ({ quarantine }) => quarantine.sanitised())
  return {
    quarantined: states
      .filter(({ table, quarantined }) => quarantined > 0 && isMeant(table))
      .map(({ table, quarantined: rows }) => ({ table, rows })),
    sanitised: sanitised
      .filter(({ table }) => isMeant(table))
      .map(({ table, column, rule, rows: values }) => ({ table, column, rule, values })),
    suspendedConstraints: constraints
      .filter(({ state }) => state === 'suspended')
      .map(({ table, name, kind }) => ({ table, name, kind })),
    notCarried: notCarried.filter(({ table }) => isMeant(table)),
    otherObjects: others.counts,
    notVerified: states
      .filter(({ table }) => isMeant(table) && !verified.has(table))
      .map(({ table, state, problem }) => ({ table, state, problem })),
  }
}

function totalsOf(tables: readonly EvidenceTable[], exceptions: Evidence['exceptions']): Evidence['totals'] {
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)
  return {
    tables: tables.length,
    compared: tables.filter(({ result }) => result !== 'not compared').length,
    rows: sum(tables.map(({ rows }) => rows)),
    missing: sum(tables.map(({ missing }) => missing)),
    surplus: sum(tables.map(({ surplus }) => surplus)),
    different: sum(tables.map(({ different }) => different)),
    quarantined: sum(exceptions.quarantined.map(({ rows }) => rows)),
    sanitisedValues: sum(exceptions.sanitised.map(({ values }) => values)),
    notCarried: exceptions.notCarried.length,
    notVerified: exceptions.notVerified.length,
  }
}
