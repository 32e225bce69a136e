// node scripts/check-lock.mjs [FOLDER]   Checks package-lock.json offline: content by hash and from the one
// registry, no install scripts except those that package.json names, known licences, and every package in the decision's list.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = process.argv[2] ?? new URL('..', import.meta.url).pathname
const LIST = 'docs/decisions/0011-packages-without-provenance.md'
const REGISTRY = 'https://registry.npmjs.org/'
/** Licences without obligations for users of a package; MPL-2.0 affects only its own files. */
const LICENCES = new Set([
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'MPL-2.0',
])

const read = (file) => readFileSync(join(folder, file), 'utf8')
const { allowScripts = {} } = JSON.parse(read('package.json'))
const { packages } = JSON.parse(read('package-lock.json'))
const listed = new Set([...read(LIST).matchAll(/^((?:@[\w.-]+\/)?[\w.-]+@\d\S*)$/gm)].map(([, id]) => id))

const faults = []
const locked = new Set()
for (const [path, entry] of Object.entries(packages)) {
  if (!path.includes('node_modules/') || entry.link) continue
  // an aliased package has its real name in `name`
  const name = entry.name ?? path.replace(/^.*node_modules\//, '')
  const id = `${name}@${entry.version}`
  locked.add(id)
  if (!/^sha512-\S{80,}$/.test(entry.integrity ?? '')) faults.push(`${id}: no sha512 of its content, expected one`)
  if (entry.resolved !== undefined && !entry.resolved.startsWith(REGISTRY))
    faults.push(`${id}: from elsewhere than ${REGISTRY}`)
  if (entry.hasInstallScript && !Object.hasOwn(allowScripts, name))
    faults.push(`${id}: runs a script when it is installed, and allowScripts of package.json does not name it`)
  const unknown = licences(entry.license).filter((licence) => !LICENCES.has(licence))
  if (unknown.length > 0)
    faults.push(`${id}: licence ${unknown.join(', ')}, expected some of ${[...LICENCES].join(', ')}`)
  if (!listed.has(id)) faults.push(`${id}: is not in ${LIST}: see what it is and who publishes it, then add its line`)
}
for (const id of listed) if (!locked.has(id)) faults.push(`${id}: is in ${LIST}, and no longer locked: remove its line`)

for (const fault of faults) process.stderr.write(`${fault}\n`)
process.exitCode = faults.length === 0 && locked.size > 0 ? 0 : 1

/** The licences of an expression. All must be known, also those of an OR. */
function licences(expression) {
  return typeof expression === 'string' ? expression.replaceAll(/[()]/g, '').split(/ (?:AND|OR) /) : ['(none)']
}
