/**
 * `npm run cases -- FOLDER...`: one line a case: pass, FAIL with the first difference, skip with what it requires.
 * Exit 0, or 5 where a case fails.
 */
import { ServerSet } from '@mylab-sync/testkit'
import { type Case, casesBelow } from './case-folder.js'
import { runCase } from './run-case.js'

// They mostly wait: for a server, or for a daemon to detect changes that fire no trigger.
const AT_ONCE = 6
const DIFFERENT = 5
const USAGE = 2

type Verdict = 'pass' | 'FAIL' | 'skip'

async function judge(servers: ServerSet, it: Case, number: number): Promise<Verdict> {
  const started = performance.now()
  let verdict: Verdict = 'pass'
  let why = ''
  try {
    const requires = await runCase(servers, it, `case_${number}`)
    if (requires !== null) [verdict, why] = ['skip', ` requires ${requires}`]
  } catch (error) {
    ;[verdict, why] = ['FAIL', ` ${error instanceof Error ? error.message : String(error)}`]
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  process.stdout.write(`${verdict} ${it.name} ${seconds}s${why}\n`)
  return verdict
}

async function main(folders: readonly string[]): Promise<number> {
  const waiting = [...folders.flatMap(casesBelow).entries()]
  const counts = { pass: 0, FAIL: 0, skip: 0 }
  const servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) counts[await judge(servers, next[1], next[0])] += 1
  }
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
  } finally {
    await servers.close()
  }
  process.stderr.write(`cases: ${counts.pass} passed, ${counts.FAIL} failed, ${counts.skip} skipped\n`)
  return counts.FAIL === 0 ? 0 : DIFFERENT
}

const folders = process.argv.slice(2)
if (folders.length === 0) {
  process.stderr.write('usage: npm run cases -- FOLDER...\n')
  process.exitCode = USAGE
} else process.exitCode = await main(folders)
