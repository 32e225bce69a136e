/**
 * One life of a cutover, or of an abort: `node cutover-child.js DATABASE cutover|abort POINT FOLLOWING`, where to connect in
 * CRASH_SERVERS. Dies by SIGKILL at this point of the ports, once the other call was made.
 */
import { abortCutover, cutOver } from '@mylab-sync/engine'
import type { ServerSet } from '@mylab-sync/testkit'
import { connect, OPTIONS } from '../support/connect.js'
import { type CallName, intercept } from '../support/intercept.js'

const [name = '', what = '', wanted = '', following = ''] = process.argv.slice(2)
const servers = JSON.parse(process.env['CRASH_SERVERS'] ?? '') as Pick<ServerSet, 'source' | 'target' | 'product'>

const sides = await connect(servers, name)
const context = {
  ...intercept(sides, ({ point, follows }) => {
    if (point === wanted && (following === '' || follows(following as CallName))) process.kill(process.pid, 'SIGKILL')
  }),
  options: OPTIONS,
}
try {
  if (what === 'abort') await abortCutover(context, { discardWrites: true })
  else await cutOver(context, { setReadOnly: true, withActions: true, waitMs: 5_000 })
} finally {
  await sides[Symbol.asyncDispose]()
}
