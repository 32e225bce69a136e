// node scripts/check-titles.mjs   Refuses test titles that do not fit into a line of a report. run-tests.mjs holds titles to the same
// limit that are put together at run time.
import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const LONGEST_TITLE = 80
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TITLE = /^\s*(?:await )?(?:\w+\.)?(?:test|describe|it)(?:\.\w+)?\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/gm

/** In characters as a reader counts them, not in UTF-16 units. */
export function lengthOf(title) {
  return [...title].length
}

/** What a title has at least: its placeholders may be replaced by nothing. */
function shortest(title) {
  return title.replaceAll(/\$\{[^}]*\}/g, '').replaceAll(/\\(.)/g, '$1')
}

function* testFiles(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      if (entry.name !== 'node_modules' && entry.name !== 'dist') yield* testFiles(path)
    } else if (entry.name.endsWith('.test.ts')) yield path
  }
}

function check() {
  let found = 0
  for (const file of ['apps', 'packages', 'test'].flatMap((folder) => [...testFiles(join(ROOT, folder))]))
    for (const [, , title] of readFileSync(file, 'utf8').matchAll(TITLE)) {
      found++
      const length = lengthOf(shortest(title))
      if (length <= LONGEST_TITLE) continue
      process.exitCode = 1
      process.stderr.write(
        `${relative(ROOT, file)}: title of ${length} characters, expected at most ${LONGEST_TITLE}: ${title}\n`,
      )
    }
  if (found > 0) return
  process.exitCode = 1
  process.stderr.write('no test title found\n')
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) check()
