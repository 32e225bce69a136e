import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/** A value as text, NULL, or a long text by what it hashes to. */
export type Cell = string | null | { readonly sha256: string; readonly length: number }

export interface ExpectedTable {
  readonly types?: Readonly<Record<string, string>>
  readonly rows?: readonly (readonly Cell[])[]
}

export interface ExpectedRule {
  readonly table: string
  readonly column: string
  readonly rule: string
  readonly rows: number
}

export interface ExpectedKey {
  readonly table: string
  readonly key: readonly string[]
}

export interface Probe {
  readonly sql: string
  readonly rows?: readonly (readonly Cell[])[]
  readonly sqlstate?: string
}

/** expect.json, as TYPES describes it. */
export interface Expectation {
  readonly requires?: string | null
  readonly copied?: Readonly<Record<string, ExpectedTable>>
  readonly changed?: Readonly<Record<string, ExpectedTable>>
  readonly sanitised?: readonly ExpectedRule[]
  readonly quarantined?: readonly ExpectedKey[]
  readonly sanitisedAfterChanges?: readonly ExpectedRule[]
  readonly quarantinedAfterChanges?: readonly ExpectedKey[]
  readonly refused?: readonly string[]
  readonly probes?: readonly Probe[]
}

export interface Case {
  readonly name: string
  readonly source: string
  readonly target: string | null
  readonly changes: string | null
  readonly configFile: string | null
  readonly expect: Expectation
}

/** The folder itself, or every case below it, by name. Throws where there is none. */
export function casesBelow(folder: string): Case[] {
  if (existsSync(join(folder, 'source.sql'))) return [readCase(folder)]
  const below = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const found = below
    .map(({ name }) => name)
    .sort()
    .flatMap((name) => casesBelow(join(folder, name)))
  if (found.length === 0) throw new Error(`${folder} holds no case: a case is a folder with source.sql and expect.json`)
  return found
}

function readCase(folder: string): Case {
  const optional = (name: string): string | null => {
    const path = join(folder, name)
    return existsSync(path) ? readFileSync(path, 'utf8') : null
  }
  const config = join(folder, 'config.yaml')
  return {
    name: basename(folder),
    source: readFileSync(join(folder, 'source.sql'), 'utf8'),
    target: optional('target.sql'),
    changes: optional('changes.sql'),
    configFile: existsSync(config) ? config : null,
    expect: JSON.parse(readFileSync(join(folder, 'expect.json'), 'utf8')) as Expectation,
  }
}

/** Whether a source of this VERSION() is what the case requires: `mariadb`, `mysql`, either with `>=10.10`. */
export function suits(requires: string, version: string): boolean {
  const [, product, least = '0'] = /^(mariadb|mysql)(?:>=([\d.]+))?$/.exec(requires) ?? []
  if (product === undefined)
    throw new Error(`requires: ${requires} is neither mariadb nor mysql, with or without >=VERSION`)
  if ((product === 'mariadb') !== /mariadb/i.test(version)) return false
  const numbers = (text: string): number[] => text.split(/[.-]/).map(Number)
  const [own, wanted] = [numbers(version), numbers(least)]
  const at = wanted.findIndex((number, index) => number !== own[index])
  return at === -1 || (own[at] ?? 0) > (wanted[at] ?? 0)
}
