import { KEPT_DAYS } from '@mylab-sync/core'
import { type Command, command, ENQUEUED, flag, number, UsageFault, words } from './definition.js'

const TABLE = {
  type: 'string',
  array: true,
  requiresArg: true,
  default: [] as string[],
  describe: 'only these tables; * and ? are wildcards',
} as const
const WORKER = {
  queues: { ...words('the queues to serve'), default: 'copy,drain,control' },
  concurrency: { ...number('chunks copied at once'), default: 2 },
} as const

/**
 * All commands, in the order of use. Each one's code is loaded when it runs: startup is faster and the process smaller.
 */
export const COMMANDS: readonly Command[] = [
  command({
    name: 'init',
    describe: 'write a commented configuration file, after asking or from URLs, and test the connections',
    options: {
      'source-url': words('mysql://user:password@host:port/database'),
      'target-url': words('postgres://user:password@host:port/database?schema=public'),
      'redis-url': words('redis://:password@host:port (only for several hosts)'),
      output: { ...words('the file to write; never overwritten without --yes'), default: 'mylab-sync.yaml' },
    },
    examples: [
      ['init', 'ask for everything'],
      ['init --source-url mysql://sync@db1/clinic --target-url postgres://sync@db2/clinic', 'ask no questions'],
    ],
    run: async (a) => (await import('./commands/init.js')).runInit(a),
  }),
  command({
    name: 'doctor',
    describe: 'check servers, tables, clocks and Redis, with a fix for each finding; change nothing',
    options: {},
    examples: [['doctor', 'look at both servers, the tables, the clocks and Redis']],
    run: async (a) => (await import('./commands/doctor.js')).runDoctor(a),
  }),
  command({
    name: 'plan',
    describe: 'show what would be created and what cannot be carried; change nothing',
    options: {
      table: TABLE,
      full: flag('every table, column by column'),
      sql: {
        type: 'string',
        choices: ['', 'source', 'target'],
        describe: "print the statements: one psql script with the source's as comments, or one side only",
      },
    },
    examples: [
      ['plan', 'a summary: size, what is not carried, what to read first'],
      ['plan --table patients', 'one table, column by column'],
      ['plan --sql=target', "the target's statements only"],
    ],
    run: async (a) => (await import('./commands/plan.js')).runPlan({ ...a, tables: a.table, sql: a.sql }),
  }),
  command({
    name: 'migrate',
    describe: 'create or upgrade the change log and the state tables',
    options: {
      source: flag('the source only'),
      target: flag('the target only'),
      status: flag('show what is there; change nothing'),
      adopt: flag('take over from the older PHP package: drop its triggers, keep its log under another name'),
    },
    examples: [
      ['migrate', 'both sides; safe to repeat'],
      ['migrate --status', 'what is set up'],
      ['migrate --adopt', 'take over from the older PHP package'],
    ],
    run: async (a) => (await import('./commands/migrate.js')).runMigrate(a),
  }),
  command({
    name: 'setup-triggers',
    describe: 'create or repair the triggers of all selected tables',
    options: {
      table: TABLE,
      drop: flag('recreate all triggers, without a gap in capture'),
      'dry-run': flag('print the statements; change nothing'),
    },
    examples: [
      ['setup-triggers', 'three triggers per table; correct ones are kept'],
      ['setup-triggers --dry-run', 'the statements'],
    ],
    run: async (a) => (await import('./commands/setup-triggers.js')).runSetupTriggers({ ...a, tables: a.table }),
  }),
  command({
    name: 'initial',
    describe: 'copy the tables for the first time and open them for live changes',
    options: {
      table: TABLE,
      'create-tables': flag('create tables that are missing in the target'),
      batch: number('maximum rows per chunk'),
      resume: flag('continue an unfinished copy; start no new table'),
      'show-progress': flag('only show progress'),
      triggers: { type: 'boolean', default: true, describe: 'install triggers first (--no-triggers: do not)' },
      force: flag('copy live tables again'),
      'retry-errors': flag('only retry quarantined rows and broken tables'),
      'take-over': flag('allow deleting rows of an existing target table that the source lacks'),
      detach: flag('only install and request the copy; workers do it'),
    },
    examples: [
      ['initial --create-tables', 'set up what is missing and copy all selected tables'],
      ["initial --create-tables --table 'lab_*' --table patients", 'only these tables'],
      ['initial --resume', 'continue after an interruption'],
    ],
    run: async ({ batch, ...a }) =>
      (await import('./commands/initial.js')).runInitial({
        ...a,
        tables: a.table,
        ...(batch === undefined ? {} : { batch }),
      }),
  }),
  command({
    name: 'database',
    describe: 'apply pending changes to the target',
    options: {
      daemon: flag('keep running until stopped'),
      once: flag('everything pending now (the default)'),
      'check-pending': flag('count; change nothing'),
      table: { ...TABLE, describe: 'also report these tables; all are drained, since consistency is per database' },
    },
    examples: [
      ['database --daemon', 'apply changes continuously until Ctrl-C'],
      ['database --once', 'everything pending now, for cron'],
    ],
    run: async (a) => (await import('./commands/database.js')).runDatabase({ ...a, tables: a.table }),
  }),
  command({
    name: 'start',
    describe: 'everything in one process: scheduler and worker, or without Redis the direct runner',
    options: {
      ...WORKER,
      dashboard: { type: 'boolean', default: true, describe: 'with the dashboard (--no-dashboard: without)' },
    },
    examples: [['start', 'apply changes continuously and serve the dashboard']],
    run: async (a) => (await import('./commands/start.js')).runStart(a),
  }),
  command({
    name: 'worker',
    describe: 'serve the queues',
    options: WORKER,
    examples: [
      ['worker', 'all queues'],
      ['worker --queues copy --concurrency 4', 'copies only, four chunks at once'],
    ],
    run: async (a) => (await import('./commands/worker.js')).runWorkerCommand(a),
  }),
  command({
    name: 'scheduler',
    describe: 'schedule due work',
    options: {},
    examples: [['scheduler', 'one is enough, more do no harm']],
    run: async (a) => (await import('./commands/scheduler.js')).runSchedulerCommand(a),
  }),
  command({
    name: 'enqueue',
    describe: 'put a job into Redis and print its id',
    options: { what: { choices: ENQUEUED, demandOption: true, describe: 'the job' }, table: TABLE },
    positionals: ['what'],
    examples: [
      ['enqueue drain', 'drain now'],
      ['enqueue verify --table patients', 'have workers compare the contents of a table now'],
      ['enqueue retry --table patients', 'retry the quarantined rows of a table'],
    ],
    run: async (a) => (await import('./commands/enqueue.js')).runEnqueue({ ...a, tables: a.table }),
  }),
  command({
    name: 'status',
    describe: 'show the state of every table',
    options: {
      table: TABLE,
      problems: flag('only problems, and objects that are not carried'),
      watch: flag('refresh until Ctrl-C'),
    },
    examples: [
      ['status', 'first a sentence: correct or not, as of when'],
      ['status --problems', 'exit 5 if action is needed'],
      ['status --watch', 'refreshed in place'],
    ],
    run: async (a) => (await import('./commands/status.js')).runStatus({ ...a, tables: a.table }),
  }),
  command({
    name: 'verify-counts',
    describe: 'compare exact row counts of both sides at one moment',
    options: { table: TABLE },
    examples: [['verify-counts', 'exit 5 if a table differs, or if one with rows was not counted']],
    run: async (a) => (await import('./commands/verify-counts.js')).runVerifyCounts({ ...a, tables: a.table }),
  }),
  command({
    name: 'verify',
    describe: 'compare the contents of both sides, value by value, while both are written',
    options: {
      table: TABLE,
      watch: flag('show the progress'),
      sample: words('only this share of each table, as 1%: pages of rows, spread over the keys at random'),
      since: words('only rows that drains have carried since: 30m, 2h, 1d or an ISO 8601 time'),
      'show-values': flag('print both values of each differing column (may be confidential)'),
      report: words('also write evidence: JSON into this file, and a page with .html beside it'),
      'check-report': {
        ...words('only check these reports, all since the first: exit 5 if one is altered or missing'),
        array: true,
      },
    },
    examples: [
      ['verify', 'exit 5 if a row differs, or if a table was not compared'],
      ['verify --sample 1% --watch', 'a quick look at every table'],
      ['verify --since 2h --show-values', 'what was changed lately, with the values that differ'],
      ['verify --report verified.json', 'with evidence: the file, and verified.html'],
    ],
    run: async ({ checkReport, ...a }) => {
      if (checkReport === undefined)
        return (await import('./commands/verify.js')).runVerify({ ...a, tables: a.table, report: a.report })
      if (a.report !== undefined) throw new UsageFault('--report and --check-report: found both, expected one of them')
      return (await import('./evidence/check-report.js')).runCheckReport({ ...a, files: checkReport })
    },
  }),
  command({
    name: 'repair',
    describe: 'verify, and re-read exactly the rows that differ',
    options: { table: TABLE, watch: flag('show the progress') },
    examples: [['repair --table patients', 'exit 5 if a row still differs']],
    run: async (a) => (await import('./commands/verify.js')).runRepair({ ...a, tables: a.table }),
  }),
  command({
    name: 'sequences',
    describe: "compare the target's sequences with the AUTO_INCREMENT counters of the source",
    options: { table: TABLE, set: flag('set them, so that an INSERT without a key gets one that no row has') },
    examples: [
      ['sequences', 'what --set would do; exit 5 if a column has no sequence, or an exhausted one'],
      ['sequences --set', 'before the application writes to the target'],
    ],
    run: async (a) => (await import('./commands/sequences.js')).runSequences({ ...a, tables: a.table }),
  }),
  command({
    name: 'reverse',
    describe: 'print what a way back from PostgreSQL would take; it is not built',
    options: { table: TABLE, plan: flag('print the plan; change nothing') },
    examples: [['reverse --plan', 'per table: key, what does not go back without loss, triggers, counters']],
    run: async (a) => {
      if (!a.plan) throw new UsageFault('a way back is not built; reverse --plan prints what it would take')
      await (await import('./commands/reverse.js')).runReversePlan({ ...a, tables: a.table })
    },
  }),
  command({
    name: 'show-errors',
    describe: 'list rows that could not be applied, newest first',
    options: {
      table: TABLE,
      limit: { ...number('maximum number of lines'), default: 50 },
      all: flag('include rows that are no longer quarantined'),
      'show-values': flag("print the rows' current values at the source (may be confidential)"),
    },
    examples: [
      ['show-errors', 'what is quarantined now'],
      ['show-errors --table patients --show-values', 'with the values of the rows'],
    ],
    run: async (a) =>
      (await import('./commands/show-errors.js')).runShowErrors({ ...a, tables: a.table, history: a.all }),
  }),
  command({
    name: 'retry-failed',
    describe: 'retry quarantined rows',
    options: { table: TABLE },
    examples: [['retry-failed --table patients', 'after fixing the cause']],
    run: async (a) => (await import('./commands/show-errors.js')).runRetryFailed({ ...a, tables: a.table }),
  }),
  command({
    name: 'dashboard',
    describe: 'serve a page of all tables, metrics and probes',
    options: {
      port: number('port to listen on (default 9090)'),
      host: { ...words('address to listen on; any but loopback needs SYNC_DASHBOARD_PASSWORD'), default: '127.0.0.1' },
    },
    examples: [['dashboard', 'http://127.0.0.1:9090']],
    run: async (a) => (await import('./commands/dashboard.js')).runDashboardCommand({ ...a, port: a.port }),
  }),
  command({
    name: 'pause',
    describe: 'stop applying changes to tables; the changes are kept until resume',
    options: { table: TABLE },
    examples: [['pause --table visits', 'includes tables that foreign key actions reach from it']],
    run: async (a) => (await import('./commands/table-control.js')).runPause({ ...a, tables: a.table }),
  }),
  command({
    name: 'resume',
    describe: 'resume paused tables, or queues that are held back',
    options: { table: TABLE, queues: words('resume these queues instead, whatever holds them back in Redis') },
    examples: [
      ['resume', 'all paused tables'],
      ['resume --queues drain,copy', 'queues that some tool paused or limited'],
    ],
    run: async ({ queues, ...a }) =>
      (await import('./commands/table-control.js')).runResume({
        ...a,
        tables: a.table,
        ...(queues === undefined ? {} : { queues }),
      }),
  }),
  command({
    name: 'resync',
    describe: 'copy tables again in place; they stay readable',
    options: { table: TABLE },
    examples: [['resync --table visits', 'after another program wrote into the target']],
    run: async (a) => (await import('./commands/table-control.js')).runResync({ ...a, tables: a.table }),
  }),
  command({
    name: 'cleanup',
    describe: 'remove old synced entries from the change log',
    options: {
      days: { ...number('older than this many days'), default: KEPT_DAYS },
      'dry-run': flag('count; change nothing'),
    },
    examples: [['cleanup --days 14', 'keep two weeks']],
    run: async (a) => (await import('./commands/cleanup.js')).runCleanup(a),
  }),
  command({
    name: 'cutover',
    describe: 'hand over to PostgreSQL: list what stands in the way, then drain, compare, and switch',
    options: {
      'dry-run': flag('list what stands in the way, with its remedies; change nothing'),
      'set-read-only': flag('refuse writes to captured tables of the source, instead of waiting until there are none'),
      actions: flag('give foreign keys the actions that they have at the source'),
      wait: { ...number('seconds to wait for the application to stop writing'), default: 30 },
      abort: flag('go back to following the source'),
      report: words('also write evidence of the cutover: JSON into this file, and a page with .html beside it'),
    },
    examples: [
      ['cutover --dry-run', 'exit 5 if something blocks'],
      [
        'cutover --set-read-only --actions --report cutover.json',
        'stop the writes, and switch, with evidence: the file, and cutover.html',
      ],
      ['cutover --abort', 'follow the source again'],
    ],
    run: async (a) => (await import('./commands/cutover.js')).runCutover(a),
  }),
  command({
    name: 'uninstall',
    describe: 'remove triggers and our own tables from both sides; the copied tables stay',
    options: {
      'keep-target-state': flag('keep the state tables in the target'),
      sql: flag('print the statements; change nothing'),
    },
    examples: [
      ['uninstall --sql', 'show what would run'],
      ['uninstall --yes', 'remove it'],
    ],
    run: async (a) => (await import('./commands/uninstall.js')).runUninstall(a),
  }),
]
