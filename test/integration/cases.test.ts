import { after, before, describe, test } from 'node:test'
import { ServerSet } from '@mylab-sync/testkit'
import { casesBelow } from '../case-runner/case-folder.js'
import { runCase } from '../case-runner/run-case.js'

const FOLDER = new URL('../../cases', import.meta.url).pathname
// They mostly wait, for servers and for what a daemon finds by itself.
const AT_ONCE = 4

let servers: ServerSet
before(async () => {
  servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
})
after(() => servers.close())

describe('the target holds what each case in test/cases expects', { concurrency: AT_ONCE }, () => {
  for (const [number, it] of casesBelow(FOLDER).entries())
    test(it.name, async (context) => {
      const requires = await runCase(servers, it, `case_${number}`)
      if (requires !== null) context.skip(`requires ${requires}`)
    })
})
