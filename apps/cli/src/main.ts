import { KEPT_DAYS } from '@mylab-sync/engine'
import yargs, { type Argv } from 'yargs'
import { hideBin } from 'yargs/helpers'
import { runDashboardCommand } from './commands/dashboard.js'
import { runCleanup } from './commands/cleanup.js'
import { runDatabase } from './commands/database.js'
import { runDoctor } from './commands/doctor.js'
import { ENQUEUED, runEnqueue } from './commands/enqueue.js'
import { runInit } from './commands/init.js'
import { runInitial } from './commands/initial.js'
import { runMigrate } from './commands/migrate.js'
import { runPlan } from './commands/plan.js'
import { runSchedulerCommand } from './commands/scheduler.js'
import { runSetupTriggers } from './commands/setup-triggers.js'
import { runRetryFailed, runShowErrors } from './commands/show-errors.js'
import { runStart } from './commands/start.js'
import { runStatus } from './commands/status.js'
import { runVerifyCounts } from './commands/verify-counts.js'
import { runPause, runResume, runResync } from './commands/table-control.js'
import { runUninstall } from './commands/uninstall.js'
import { runWorkerCommand } from './commands/worker.js'
import { tell } from './output.js'

const USAGE = 2

const TABLE = {
  type: 'string',
  array: true,
  default: [] as string[],
  describe: 'only these tables; * and ? are wildcards',
} as const
const WORKER = {
  queues: { type: 'string', default: 'copy,drain,control', describe: 'the queues to serve' },
  concurrency: { type: 'number', default: 2, describe: 'chunks copied at once' },
} as const
const flag = (describe: string) => ({ type: 'boolean', default: false, describe }) as const

/** Every command also answers to its name in the older package. */
const names = (name: string): [string, string] => [name, `sync:${name}`]

function commonOptions<T>(parser: Argv<T>) {
  return parser
    .option('config', { type: 'string', describe: 'configuration file (default mylab-sync.yaml)' })
    .option('json', flag('one JSON object on stdout'))
    .option('quiet', flag('no progress'))
    .option('verbose', { alias: 'v', ...flag('more on stderr') })
    .option('yes', flag('answer questions with yes'))
    .option('color', { type: 'boolean', default: true, describe: 'colours on a terminal' })
}

const parser = commonOptions(yargs(hideBin(process.argv)))
  .scriptName('mylab-sync')
  .usage('Keeps a PostgreSQL database equal to a live MySQL or MariaDB database.\n\n$0 <command>')
  .command(
    names('migrate'),
    'create or upgrade the change log and the state tables',
    (y) =>
      y
        .option('source', flag('the source only'))
        .option('target', flag('the target only'))
        .option('status', flag('show what is there; change nothing')),
    (a) => runMigrate({ ...a, config: a.config }),
  )
  .command(
    names('init'),
    'write a commented configuration file, after asking or from URLs, and test the connections',
    (y) =>
      y
        .option('source-url', { type: 'string', describe: 'mysql://user:password@host:port/database' })
        .option('target-url', { type: 'string', describe: 'postgres://user:password@host:port/database?schema=public' })
        .option('redis-url', { type: 'string', describe: 'redis://:password@host:port (only for several hosts)' })
        .option('output', {
          type: 'string',
          default: 'mylab-sync.yaml',
          describe: 'the file; never written over without --yes',
        }),
    (a) => runInit(a),
  )
  .command(
    names('doctor'),
    'look for what stands in the way, with the remedy of each finding; change nothing',
    (y) => y,
    (a) => runDoctor({ ...a, config: a.config }),
  )
  .command(
    names('plan'),
    'what would be created, and what cannot be carried; change nothing',
    (y) =>
      y.option('table', TABLE).option('sql', {
        type: 'string',
        choices: ['', 'source', 'target'],
        describe: "the statements: one script for psql with the source's as comments, or one side's alone",
      }),
    (a) => runPlan({ ...a, config: a.config, tables: a.table, sql: a.sql }),
  )
  .command(
    names('setup-triggers'),
    'make the triggers of all selected tables what they must be',
    (y) =>
      y
        .option('table', TABLE)
        .option('drop', flag('create again, without a gap'))
        .option('dry-run', flag('print the statements; change nothing')),
    (a) => runSetupTriggers({ ...a, config: a.config, tables: a.table }),
  )
  .command(
    names('initial'),
    'copy the tables for the first time and open them for live changes',
    (y) =>
      y
        .option('table', TABLE)
        .option('create-tables', flag('create tables that the target lacks'))
        .option('batch', { type: 'number', describe: 'most rows in a chunk' })
        .option('resume', flag('go on with an unfinished copy; start no new table'))
        .option('show-progress', flag('only show how far it is'))
        .option('triggers', {
          type: 'boolean',
          default: true,
          describe: 'install triggers first (--no-triggers: do not)',
        })
        .option('force', flag('copy again what is live'))
        .option('retry-errors', flag('only try quarantined rows and broken tables again'))
        .option('take-over', flag('rows of an existing target table that the source lacks may go'))
        .option('detach', flag('only install and ask for the copy; workers do it')),
    (a) => {
      const { batch, ...rest } = a
      return runInitial({ ...rest, config: a.config, tables: a.table, ...(batch === undefined ? {} : { batch }) })
    },
  )
  .command(
    names('database'),
    'bring pending changes to the target',
    (y) =>
      y
        .option('daemon', flag('go on until told to stop'))
        .option('once', flag('everything pending now (the default)'))
        .option('check-pending', flag('count; change nothing'))
        .option('table', TABLE),
    (a) => runDatabase({ ...a, config: a.config }),
  )
  .command(
    names('start'),
    'everything in one process: scheduler and worker, or without Redis the direct runner',
    (y) => y.options(WORKER).option('dashboard', { type: 'boolean', default: true, describe: 'with the dashboard' }),
    (a) => runStart({ ...a, config: a.config }),
  )
  .command(
    names('worker'),
    'serve the queues',
    (y) => y.options(WORKER),
    (a) => runWorkerCommand({ ...a, config: a.config }),
  )
  .command(
    names('scheduler'),
    'name the work that is due',
    (y) => y,
    (a) => runSchedulerCommand({ ...a, config: a.config }),
  )
  .command(
    ['enqueue <what>', 'sync:enqueue <what>'],
    'put a job into Redis and print its id',
    (y) => y.positional('what', { choices: ENQUEUED, demandOption: true }).option('table', TABLE),
    (a) => runEnqueue({ ...a, config: a.config, tables: a.table }),
  )
  .command(
    names('status'),
    'where every table stands',
    (y) => y.option('table', TABLE).option('problems', flag('only what is wrong')),
    (a) => runStatus({ ...a, config: a.config, tables: a.table }),
  )
  .command(
    names('verify-counts'),
    'exact row counts of both sides at one moment',
    (y) => y.option('table', TABLE),
    (a) => runVerifyCounts({ ...a, config: a.config, tables: a.table }),
  )
  .command(
    names('show-errors'),
    'rows that could not be applied, newest first',
    (y) =>
      y
        .option('table', TABLE)
        .option('limit', { type: 'number', default: 50, describe: 'most lines' })
        .option('all', flag('what is no longer quarantined too')),
    (a) => runShowErrors({ ...a, config: a.config, tables: a.table, history: a.all }),
  )
  .command(
    names('retry-failed'),
    'try quarantined rows again',
    (y) => y.option('table', TABLE),
    (a) => runRetryFailed({ ...a, config: a.config, tables: a.table }),
  )
  .command(
    names('dashboard'),
    'a page of all tables, metrics and probes',
    (y) =>
      y.option('port', { type: 'number', describe: 'port to listen on (default 9090)' }).option('host', {
        type: 'string',
        default: '127.0.0.1',
        describe: 'address to listen on; any but loopback needs SYNC_DASHBOARD_PASSWORD',
      }),
    (a) => runDashboardCommand({ ...a, config: a.config, port: a.port }),
  )
  .command(
    names('pause'),
    'stop tables; their changes are kept until they are resumed',
    (y) => y.option('table', TABLE),
    (a) => runPause({ ...a, config: a.config, tables: a.table }),
  )
  .command(
    names('resume'),
    'go on with paused tables',
    (y) => y.option('table', TABLE),
    (a) => runResume({ ...a, config: a.config, tables: a.table }),
  )
  .command(
    names('resync'),
    'copy tables again in place, while they are read',
    (y) => y.option('table', TABLE),
    (a) => runResync({ ...a, config: a.config, tables: a.table }),
  )
  .command(
    names('cleanup'),
    'remove old entries of the change log that are synced',
    (y) =>
      y
        .option('days', { type: 'number', default: KEPT_DAYS, describe: 'older than so many days' })
        .option('dry-run', flag('count; change nothing')),
    (a) => runCleanup({ ...a, config: a.config }),
  )
  .command(
    names('uninstall'),
    'remove triggers and our own tables from both sides; the copied tables stay',
    (y) =>
      y
        .option('keep-target-state', flag('leave the state tables in the target'))
        .option('sql', flag('print the statements; change nothing')),
    (a) => runUninstall({ ...a, config: a.config }),
  )
  .demandCommand(1, 'a command is needed')
  .strict()
  .recommendCommands()
  .version('0.1.0')
  .exitProcess(false)
  .fail((message, error) => {
    if (error) throw error
    tell(`mylab-sync: ${message}`)
    tell('  try: mylab-sync --help')
    process.exitCode = USAGE
  })

await parser.parseAsync()
