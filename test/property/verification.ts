import assert from 'node:assert/strict'
import { repair, verify, type VerifyReport } from '@mylab-sync/engine'
import { eventually, type Random, random, type ServerSet, type TargetConnection } from '@mylab-sync/testkit'
import { textRows } from '../support/content.js'
import { intercept, type PortCall, type Watch } from '../support/intercept.js'
import { beforeCommit, type Compared } from '../support/moments.js'
import { type Differing, differencesOf, nameOf } from './differences.js'
import { type Beside, nap, runExperiment } from './protocol.js'
import { COLUMNS, KEY_COLUMNS, TABLES } from './schema.js'
import { spoil } from './spoil.js'

export interface PassCounts {
  /** Verification passes, those of repairs included. */
  passes: number
  /** Differences that a pass should have found, and those of them that it found. */
  planted: number
  found: number
  /** Differences that were reported and are none, or are not as reported. */
  falsely: number
  missed: number
  /** Repairs that left a difference, and rows that one wrote although they were equal. */
  unrepaired: number
  touched: number
  /** How often a table was not compared, mostly since every drain carried it as a whole. */
  notCompared: number
  /** Passes whose target showed a later drain than their own. */
  overtaken: number
  readonly examples: string[]
}

type Named = ReadonlySet<string>

const MAX_PASSES = 10
/** Foreign key actions change keys of these. */
const MOVED: ReadonlySet<string> = new Set(['k', 'm'])

/**
 * Runs verification passes and repairs beside the writers and two drainers of another process. Every drain tells, by SQL
 * of its own and before it commits, which rows differ after it: a pass whose target shows drain m must report exactly those.
 */
export async function runPasses(
  servers: ServerSet,
  { seed, liveMs }: { readonly seed: number; readonly liveMs: number },
): Promise<PassCounts> {
  const counts: PassCounts = {
    passes: 0,
    planted: 0,
    found: 0,
    falsely: 0,
    missed: 0,
    unrepaired: 0,
    touched: 0,
    notCompared: 0,
    overtaken: 0,
    examples: [],
  }
  const truth = new Truth()
  await runExperiment(servers, {
    seed,
    liveMs,
    judge: (drain) => truth.note(drain),
    beside: async (beside) => {
      const target = await servers.targetAdmin(`property_${seed}`)
      try {
        await new Passes(beside, { target, counts, truth, r: random(seed * 131) }).run()
      } finally {
        await target.end()
      }
    },
  })
  return counts
}

/** Which rows differed after each of the latest drains. */
class Truth {
  readonly #after = new Map<number, readonly Differing[]>()

  async note({ snapshot, target, live }: Compared): Promise<void> {
    const { number } = await target.history.last()
    this.#after.set(number, await differencesOf(snapshot, target, live))
    this.#after.delete(number - 1_000)
  }

  after(drain: number): readonly Differing[] {
    const found = this.#after.get(drain)
    assert.ok(found, `drain ${drain} was compared`)
    return found
  }
}

/** The drains that the moments showed at which each table was compared. */
type Shown = Map<string, Set<number>>

interface Tools {
  readonly target: TargetConnection
  readonly counts: PassCounts
  readonly truth: Truth
  readonly r: Random
}

class Passes {
  readonly #beside: Beside
  readonly #tools: Tools
  /** Of the comparison that runs now. */
  #shown: Shown = new Map()
  /** The latest drain of a pass. */
  readonly #own = { drain: 0 }

  constructor({ context, ...beside }: Beside, tools: Tools) {
    this.#beside = { ...beside, context: intercept(context, this.#watch(tools)) }
    this.#tools = tools
  }

  async run(): Promise<void> {
    const { writers, isOver } = this.#beside
    const { r, counts } = this.#tools
    // A busy machine takes few passes, and writers may heal what was spoilt before one sees it.
    for (let pass = 0; !isOver() || (counts.found === 0 && pass < MAX_PASSES); pass++) {
      // While it is written, every drain carries it as a whole: it is looked at again and again, and not compared.
      writers.spared = r.chance(0.9) ? 'nk' : null
      await this.#verify()
      await this.#spoil(writers.spared === null ? TABLES : [...TABLES, 'nk', 'nk'])
      await this.#verify()
      await this.#repairAll()
      if (pass % 4 === 1) await this.#repairAtRest()
    }
  }

  #watch({ counts, truth, r }: Tools): Watch {
    const own = this.#own
    /** By the target's snapshots. */
    const drains = new WeakMap<object, number>()
    const compare = beforeCommit(async (drain) => {
      own.drain = (await drain.target.history.last()).number
      await truth.note(drain)
    })
    const look = ({ point, result, on, args }: PortCall): void => {
      if (point === 'view.history.last:after') {
        const { number } = result as { number: number }
        drains.set(on, number)
        if (number > own.drain) counts.overtaken++
      }
      const drain = drains.get(on)
      const { source } = (args[0] ?? {}) as { source?: { name: string } }
      if (drain !== undefined && source !== undefined && /^view\.(lookup|comparison)\./.test(point))
        this.#shown.set(source.name, (this.#shown.get(source.name) ?? new Set()).add(drain))
      // Whatever is compared from here on is compared again.
      if (point === 'parked.park:after') this.#shown = new Map()
    }
    return async (call) => {
      const { point } = call
      // Both of a pass's snapshots of the source, and that of the target: whoever else drains and writes has time in between.
      if (point.endsWith('openSnapshot:after')) await nap(r.chance(0.5) ? r.int(0, 60) : 0)
      if (point.startsWith('target.beginSnapshot:')) await nap(r.chance(0.3) ? r.int(0, 250) : 0)
      look(call)
      await compare(call)
    }
  }

  async #spoil(tables: readonly (typeof TABLES)[number][]): Promise<void> {
    const { r, target } = this.#tools
    for (let left = r.int(1, 3), tries = 0; left > 0 && tries < 30; tries++)
      if (await spoil(target, r, r.pick(tables))) left--
  }

  async #verify(): Promise<void> {
    this.#shown = new Map()
    this.#judge(await verify(this.#beside.context, { tables: [] }), this.#shown)
  }

  /** A difference may spread before it is repaired: the closure follows what the target holds. */
  async #repairAll(): Promise<void> {
    for (let tries = 0; tries < 5; tries++) {
      const before: Shown = (this.#shown = new Map())
      const { found, left } = await repair(this.#beside.context, { tables: [] })
      this.#judge(found, before)
      if (left !== found) this.#judgeLeft(left)
      if (left.equal || left.tables.every((table) => table.equal || table.notCompared !== null)) return
    }
    this.#tell('unrepaired', 'five repairs left differences')
  }

  /** With nobody else writing, exactly the differing rows are written. */
  async #repairAtRest(): Promise<void> {
    const { writers } = this.#beside
    const { target } = this.#tools
    writers.isHeld = true
    try {
      await eventually('every writer is held', () => writers.areAllHeld, 30_000)
      await this.#repairAll()
      const clean = await versions(target)
      await this.#spoil(TABLES)
      const before = await versions(target)
      // A drainer may heal one before anybody looks: a foreign key that becomes valid again makes its orphans dirty.
      const spoilt = changed(before, clean)
      await this.#verify()
      const differing = [...this.#shown].flatMap(([table, drains]) => this.#truths(table, drains).flat())
      await this.#repairAll()
      const after = await versions(target)
      const rewritten = [...changed(before, after)].filter((row) => !spoilt.has(row))
      const known = differing.map(nameOf).join('; ')
      for (const row of notAmong(rewritten, differing))
        this.#tell('touched', `${row}, ${after.has(row) ? 'written' : 'deleted'}, different were ${known}`)
    } finally {
      writers.isHeld = false
    }
  }

  #truths(table: string, drains: Iterable<number>): Differing[][] {
    return [...drains].map((drain) => this.#tools.truth.after(drain).filter((row) => row.table === table))
  }

  #judge(report: VerifyReport, shown: Shown): void {
    const { counts } = this.#tools
    counts.passes++
    for (const table of report.tables) {
      if (table.notCompared !== null) {
        counts.notCompared++
        continue
      }
      const each = this.#truths(table.table, shown.get(table.table) ?? []).map(namesOf)
      assert.ok(each.length > 0, `${table.table} was looked at`)
      // A missing key that cascades may move is looked at once more, by a drain that may heal it.
      const later = namesOf(this.#truths(table.table, [this.#own.drain]).flat())
      const isLeft = (name: string): boolean =>
        !(MOVED.has(table.table) && name.includes(' missing ')) || later.has(name)
      const must = [...(each[0] ?? [])].filter((name) => each.every((names) => names.has(name)) && isLeft(name))
      const may = new Set(each.flatMap((names) => [...names]))
      const reported = reportedOf(table)
      counts.planted += must.length
      for (const name of must)
        if (reported.has(name)) counts.found++
        else this.#tell('missed', `${name}, reported ${[...reported].join('; ')}`)
      for (const name of reported) if (!may.has(name)) this.#tell('falsely', `${name}, true is ${[...may].join('; ')}`)
    }
  }

  /** Only the keys that differed are compared again. */
  #judgeLeft(report: VerifyReport): void {
    for (const table of report.tables) {
      const truths = this.#truths(table.table, this.#shown.get(table.table) ?? [])
      const may = new Set(truths.flatMap((rows) => [...namesOf(rows)]))
      for (const name of reportedOf(table)) if (!may.has(name)) this.#tell('falsely', `left: ${name}`)
    }
  }

  #tell(what: 'missed' | 'falsely' | 'unrepaired' | 'touched', text: string): void {
    const { counts } = this.#tools
    counts[what]++
    if (counts.examples.length < 10) counts.examples.push(`${what} ${text}`)
  }
}

/** Of a table without a key only numbers are reported. */
function namesOf(rows: readonly Differing[]): Named {
  const whole = rows.filter(({ table }) => KEY_COLUMNS[table] === 0)
  const numbers = wholeNames({
    missing: whole.filter(({ kind }) => kind === 'missing').length,
    surplus: whole.filter(({ kind }) => kind === 'surplus').length,
  })
  return new Set([...rows.filter(({ table }) => KEY_COLUMNS[table] > 0).map(nameOf), ...numbers])
}

function wholeNames({ missing, surplus }: { readonly missing: number; readonly surplus: number }): string[] {
  return missing + surplus > 0 ? [`nk: ${missing} missing, ${surplus} surplus`] : []
}

function reportedOf({ table, keys, missing, surplus }: VerifyReport['tables'][number]): Named {
  if (table === 'nk') return new Set(wholeNames({ missing, surplus }))
  return new Set(keys.map((row) => `${table} ${JSON.stringify(row.key)} ${row.kind} ${row.columns.join()}`))
}

/** Of a table without a key as many are left out as were surplus. */
function notAmong(rows: readonly string[], differing: readonly Differing[]): string[] {
  const keys = new Set(differing.map(({ table, key }) => `${table} ${JSON.stringify(key)}`))
  const others = rows.filter((row) => !keys.has(row))
  const surplus = differing.filter(({ table, kind }) => KEY_COLUMNS[table] === 0 && kind === 'surplus').length
  const whole = others.filter((row) => row.startsWith('nk '))
  return [...others.filter((row) => !row.startsWith('nk ')), ...whole.slice(surplus)]
}

/** The rows of `some` that have another version in `others`, or none. */
function changed(some: ReadonlyMap<string, string>, others: ReadonlyMap<string, string>): ReadonlySet<string> {
  return new Set([...some].filter(([row, version]) => others.get(row) !== version).map(([row]) => row))
}

/** Each row's version, by its table and key; of a table without a key, by its place. */
async function versions(target: TargetConnection): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const table of TABLES) {
    const keys = COLUMNS[table].slice(0, KEY_COLUMNS[table]).map((column) => `"${column}"::text`)
    const key = keys.length > 0 ? keys.join(', ') : 'ctid::text'
    for (const row of await textRows(target, `SELECT xmin::text, ${key} FROM public."${table}"`))
      found.set(`${table} ${JSON.stringify(row.slice(1))}`, row[0] ?? '')
  }
  return found
}
