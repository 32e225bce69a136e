import { describe, test } from 'node:test'
import { sharedServers } from '@mylab-sync/testkit'
import { casesBelow } from '../case-runner/case-folder.js'
import { runCase } from '../case-runner/run-case.js'

const FOLDER = new URL('../../cases', import.meta.url).pathname
// They mostly wait, for servers and for a daemon to detect changes.
const AT_ONCE = 4

const servers = await sharedServers()

describe('the target holds what each case in test/cases expects', { concurrency: AT_ONCE }, () => {
  for (const [number, it] of casesBelow(FOLDER).entries())
    test(it.name, async (context) => {
      const requires = await runCase(servers, it, `case_${number}`)
      if (requires !== null) context.skip(`requires ${requires}`)
    })
})
