// Counts what makes the code dear to change, and refuses more of it than its limits allow: npm run check.
// node scripts/measure-house.mjs [FOLDER]: of another checkout, without limits.
import { parseSync } from '@swc/core'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** The most of each that the gate lets pass. */
const LIMITS = {
  'methods of the widest interface': 10,
  'fields of the largest class': 13,
  'files of the fullest folder': 24,
  'files that list error codes to retry': 0,
  'places that write the state of a table': 0,
  'lines of test seams': 0,
}

/** Switches, hooks and methods that production code had for its tests' sake. */
const SEAM =
  /\bhooks\b|EngineHooks|CrashPoint|CRASH_POINTS|ProtocolRules|ALL_RULES|rulesOf|\brules\.(closure|absentIsStart|lockBeforeSnapshot|parkStartFlag|orphanScan|parkedBeforeSnapshot|markExactIds|parkedPerDrain)|\breach\(|markUpTo|isTransaction\(/

const root = process.argv[2] ?? new URL('..', import.meta.url).pathname
const files = ['packages', 'apps'].flatMap((folder) =>
  readdirSync(join(root, folder)).flatMap((name) => sources(join(root, folder, name, 'src'))),
)

/** TypeScript of production: no tests, no testkit, nothing that only tests import. */
function sources(folder) {
  if (folder.includes('/testkit/') || !statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return []
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((file) => file.endsWith('.ts') && !/[.]test[.]ts$|\/(test-support|testing|fixtures)[.]ts$/.test(file))
}

const found = {}
/** Keeps the greatest count, with its place. */
function most(what, count, place) {
  if (count > (found[what]?.count ?? -1)) found[what] = { count, place }
}
function sum(what, count, place) {
  found[what] ??= { count: 0, places: [] }
  found[what].count += count
  if (count > 0) found[what].places.push(`${place}: ${count}`)
}

const folders = new Map()
for (const file of files) {
  const place = relative(root, file)
  const text = readFileSync(file, 'utf8')
  folders.set(dirname(place), (folders.get(dirname(place)) ?? 0) + 1)
  for (const node of declarations(parseSync(text, { syntax: 'typescript', target: 'esnext' }))) {
    const at = `${place} ${node.id?.value ?? node.identifier?.value ?? ''}`
    if (node.type === 'TsInterfaceDeclaration')
      most('methods of the widest interface', node.body.body.filter(isMethod).length, at)
    if (node.type === 'ClassDeclaration')
      most('fields of the largest class', node.body.filter(({ type }) => type.endsWith('Property')).length, at)
  }
  sum('files that list error codes to retry', /Set<ErrorCode>/.test(text) ? 1 : 0, place)
  sum('places that write the state of a table', writesOfState(text), place)
  sum('lines of test seams', text.split('\n').filter((line) => SEAM.test(line)).length, place)
}
for (const [folder, count] of folders) most('files of the fullest folder', count, folder)

function isMethod({ type, typeAnnotation }) {
  return type === 'TsMethodSignature' || typeAnnotation?.typeAnnotation.type === 'TsFunctionType'
}

/** Calls that give a table another state by name or by a variable, instead of by an event of the life cycle. */
function writesOfState(text) {
  return (text.match(/[.](setProgress|patch)\([^;{)]*\{[^}]*\bstate\b/g) ?? []).length
}

function declarations({ body }) {
  return body.flatMap((item) => (item.declaration ? [item.declaration] : [item]))
}

let failed = false
for (const [what, limit] of Object.entries(LIMITS)) {
  const { count, place, places } = found[what] ?? { count: 0 }
  const tooMany = process.argv[2] === undefined && count > limit
  failed ||= tooMany
  process.stdout.write(
    `${String(count).padStart(4)} ${what}${place ? ` (${place})` : ''}${tooMany ? `: at most ${limit} are allowed` : ''}\n`,
  )
  if (tooMany && places) process.stdout.write(places.map((one) => `       ${one}\n`).join(''))
}
if (failed) process.exit(1)
