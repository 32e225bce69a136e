/**
 * One life of a command: `node command-child.js DATABASE COMMAND POINT FOLLOWING NTH`, where to connect in CRASH_SERVERS. Dies
 * by SIGKILL when it reaches this point of the ports for the NTH time, once the other call was made. Prints each that it reaches.
 */
import { abortCutover, cutOver, type EngineContext, loadModel, repair, verify, verifyStep } from '@mylab-sync/engine'
import type { ServerSet } from '@mylab-sync/testkit'
import { connect, OPTIONS } from '../support/connect.js'
import { type CallName, intercept } from '../support/intercept.js'

const COMMANDS = {
  verify: (context: EngineContext) => verify(context, { tables: [] }),
  repair: (context: EngineContext) => repair(context, { tables: [] }),
  background: (context: EngineContext) => verifyStep(context, () => loadModel(context)),
  cutover: (context: EngineContext) => cutOver(context, { setReadOnly: true, withActions: true, waitMs: 5_000 }),
  abort: (context: EngineContext) => abortCutover(context, { discardWrites: true }),
} as const
export type CommandName = keyof typeof COMMANDS

const [name = '', command = '', wanted = '', following = '', nth = '1'] = process.argv.slice(2)
const servers = JSON.parse(process.env['CRASH_SERVERS'] ?? '') as Pick<ServerSet, 'source' | 'target' | 'product'>

let left = Number(nth)
const reached = new Set<string>()
const sides = await connect(servers, name)
const context: EngineContext = {
  ...intercept(sides, ({ point, follows }) => {
    if (!reached.has(point)) process.stdout.write(`${point}\n`)
    reached.add(point)
    if (point !== wanted || (following !== '' && !follows(following as CallName))) return
    if (--left === 0) process.kill(process.pid, 'SIGKILL')
  }),
  options: { ...OPTIONS, verify: { share: 1, repair: 'auto' } },
}
try {
  await COMMANDS[command as CommandName](context)
} finally {
  await sides[Symbol.asyncDispose]()
}
