import { TLS_MODES } from '@mylab-sync/core'

/** One setting as documented in config.md. */
export interface Setting {
  /** The key in the file; null: environment only. */
  readonly key: string | null
  /** Environment variables, in order of precedence. */
  readonly variables: readonly string[]
  readonly default: string
  readonly what: string
}

/** Variables that `NAME_FILE` can read from a file. */
export const SECRETS = [
  'DB_PASSWORD',
  'PGSQL_PASSWORD',
  'REDIS_PASSWORD',
  'REDIS_URL',
  'SYNC_SOURCE_URL',
  'SYNC_TARGET_URL',
  'SYNC_DASHBOARD_PASSWORD',
] as const

const setting = (key: string | null, variables: readonly string[], value: string, what: string): Setting => ({
  key,
  variables,
  default: value,
  what,
})

const AUTHORITY =
  "a PEM file with the authority that signed the server's certificate; implies `verify-full` if no mode is given"
const CLIENT = 'a PEM file with our client certificate, if the server requires one'
const CLIENT_KEY = 'a PEM file with its key, without a passphrase'

/** Every key of the file and every variable; a test checks that the list is complete. */
export const SETTINGS: readonly Setting[] = [
  setting(
    'source.host',
    ['DB_HOST'],
    '127.0.0.1',
    'MySQL or MariaDB: a name, an IPv4 or IPv6 address, or the path of a socket',
  ),
  setting('source.port', ['DB_PORT'], '3306', ''),
  setting('source.socket', ['DB_SOCKET'], '', 'a Unix socket; takes precedence over host and port'),
  setting('source.database', ['DB_DATABASE'], 'required', ''),
  setting('source.username', ['DB_USERNAME'], 'root', 'its rights: operations.md'),
  setting('source.password', ['DB_PASSWORD'], '', ''),
  setting(
    'source.sslMode',
    ['DB_SSLMODE'],
    'prefer',
    'the same as `target.sslMode`; also `DISABLED`, `PREFERRED`, `REQUIRED`, `VERIFY_CA`, `VERIFY_IDENTITY`',
  ),
  setting('source.sslRootCert', ['DB_SSLROOTCERT', 'MYSQL_ATTR_SSL_CA'], '', AUTHORITY),
  setting('source.sslCert', ['DB_SSLCERT'], '', CLIENT),
  setting('source.sslKey', ['DB_SSLKEY'], '', CLIENT_KEY),
  setting(
    'source.url',
    ['SYNC_SOURCE_URL'],
    '',
    'all of these in one: `mysql://user:password@host:port/database?ssl-mode=VERIFY_CA&ssl-ca=FILE` (`ssl-cert`, `ssl-key`), IPv6 in brackets, a socket percent-encoded (`%2Frun%2Fmysqld.sock`); single variables take precedence',
  ),
  setting('target.host', ['PGSQL_HOST'], '127.0.0.1', 'PostgreSQL: the same; for a socket, its folder'),
  setting('target.port', ['PGSQL_PORT'], '5432', ''),
  setting('target.database', ['PGSQL_DATABASE'], 'required', ''),
  setting('target.username', ['PGSQL_USERNAME'], 'postgres', ''),
  setting('target.password', ['PGSQL_PASSWORD'], '', ''),
  setting('target.schema', ['PGSQL_SCHEMA'], 'public', 'the schema of the copied tables'),
  setting(
    'target.sslMode',
    ['PGSQL_SSLMODE'],
    'prefer',
    `${TLS_MODES.map((mode) => `\`${mode}\``).join(', ')}: [encrypted lines](encrypted-lines.md)`,
  ),
  setting('target.sslmode', [], '', 'older name of `target.sslMode`'),
  setting('target.sslRootCert', ['PGSQL_SSLROOTCERT'], '', AUTHORITY),
  setting('target.sslCert', ['PGSQL_SSLCERT'], '', CLIENT),
  setting('target.sslKey', ['PGSQL_SSLKEY'], '', CLIENT_KEY),
  setting(
    'target.stateSchema',
    ['SYNC_STATE_SCHEMA'],
    'mylab_sync',
    'the schema of the state tables; if `instance` is set, the default has it appended',
  ),
  setting(
    'target.url',
    ['SYNC_TARGET_URL'],
    '',
    'all of these in one: `postgres://user:password@host:port/database?schema=public&sslmode=verify-full&sslrootcert=FILE` (`sslcert`, `sslkey`); single variables take precedence',
  ),
  setting('redis.host', ['REDIS_HOST'], '', 'without host and URL there is no queue'),
  setting('redis.port', ['REDIS_PORT'], '6379', ''),
  setting('redis.username', ['REDIS_USERNAME'], '', 'an ACL user; if empty, the default user'),
  setting('redis.password', ['REDIS_PASSWORD'], '', "`null`, Laravel's spelling in `.env`, means none"),
  setting(
    'redis.url',
    ['REDIS_URL'],
    '',
    '`redis://`, `rediss://` (encrypted, always verified), or `redis+unix:///path?db=1`; takes precedence over host and port, and over user and password if it contains them',
  ),
  setting(
    'redis.tls.ca',
    ['REDIS_TLS_CA'],
    "Node's own authorities",
    'a PEM file with the authorities that may have issued the certificate of Redis; with a host instead of a URL it implies encryption',
  ),
  setting('redis.tls.cert', ['REDIS_TLS_CERT'], '', 'a PEM file with our client certificate, if Redis requires one'),
  setting('redis.tls.key', ['REDIS_TLS_KEY'], '', 'a PEM file with its private key, without a passphrase'),
  setting(
    'performance.useQueue',
    ['SYNC_USE_QUEUE'],
    'true if a Redis address is given',
    'false: one process does everything',
  ),
  setting(
    'performance.queuePrefix',
    ['SYNC_QUEUE_PREFIX'],
    'derived from source, target and instance',
    'prefix of all keys in Redis',
  ),
  setting(
    'performance.memoryLimitMb',
    ['SYNC_MEMORY_LIMIT'],
    '256',
    'MB that one process may use, 128 or more; it limits how many keys are held at once; a row of N MB needs 3 times N in addition',
  ),
  setting(
    'batchSize',
    ['SYNC_BATCH_SIZE'],
    '100',
    'rows per statement when a COPY was rejected; COPY itself is not limited',
  ),
  setting(
    'intervalSeconds',
    ['SYNC_INTERVAL'],
    '5',
    'shortest interval between two lines on stdout; changes are polled every 0.1 s regardless',
  ),
  setting(
    'retry.maxAttempts',
    ['SYNC_RETRY_MAX_ATTEMPTS', 'SYNC_RETRY_MAX'],
    '3',
    'attempts of `database --once` if a retry may help; daemon and workers retry forever',
  ),
  setting('retry.delayMs', ['SYNC_RETRY_DELAY'], '100', 'first pause between two attempts, in ms; doubles up to 5 s'),
  setting(
    'tables.include',
    ['SYNC_TABLES_INCLUDE', 'SYNC_INCLUDE_TABLES'],
    '*',
    'patterns with `*` and `?`: comma-separated in the variable, a list in the file',
  ),
  setting('tables.exclude', ['SYNC_TABLES_EXCLUDE', 'SYNC_EXCLUDE_TABLES'], '', 'takes precedence over include'),
  setting('tables.<table>.columns.<column>', [], '', 'a type option or value rules: [types](types.md)'),
  setting('types.<type>', [], '', 'the same for all columns of a type'),
  setting('names', [], 'keep', '`keep` or `lower`: how names appear in the target'),
  setting(
    'schemaChanges',
    ['SYNC_SCHEMA_CHANGES'],
    'apply',
    '`apply`: a changed column type of a live table is applied automatically; `wait`: the table waits and lists the statements to run',
  ),
  setting(
    'verify.background',
    ['SYNC_VERIFY_BACKGROUND'],
    '1%',
    'share of the time in which daemon and workers compare the contents of all tables, one after the other, for ever: a percentage (`1%`) or a fraction (`0.01`); 0: never',
  ),
  setting(
    'verify.repair',
    ['SYNC_VERIFY_REPAIR'],
    'report',
    '`report`: rows that they find to differ are a problem for `mylab-sync repair`; `auto`: they are repaired at once',
  ),
  setting(
    'instance',
    ['SYNC_INSTANCE'],
    'default',
    'a name for a second installation with its own tables; becomes part of the names of triggers, log, state and queue',
  ),
  setting(
    'auditTable',
    ['SYNC_AUDIT_TABLE'],
    'sync_audit_log',
    'the change log on the source; if `instance` is set, the default has it appended',
  ),
  setting(
    'monitoring.log.level',
    ['SYNC_LOG_LEVEL'],
    'info',
    '`trace`, `debug`, `info`, `warn`, `error`, `fatal`, `silent`: verbosity of daemon, workers, scheduler and dashboard on stderr',
  ),
  setting('monitoring.log.format', ['SYNC_LOG_FORMAT'], 'pretty on a terminal, json elsewhere', '`pretty` or `json`'),
  setting('dashboard.user', ['SYNC_DASHBOARD_USER'], 'admin', ''),
  setting('dashboard.password', ['SYNC_DASHBOARD_PASSWORD'], '', 'required beyond loopback'),
  setting('dashboard.port', ['SYNC_DASHBOARD_PORT'], '9090', ''),
  setting(
    'dashboard.tls.cert',
    ['SYNC_DASHBOARD_TLS_CERT'],
    'HTTP',
    "a PEM file with the page's certificate chain, leaf first: enables HTTPS; a replaced file takes effect at the next connection",
  ),
  setting('dashboard.tls.key', ['SYNC_DASHBOARD_TLS_KEY'], '', 'a PEM file with its private key, without a passphrase'),
  setting(
    null,
    ['SYNC_CONFIG'],
    'mylab-sync.yaml, if it exists',
    'the configuration file; `--config` takes precedence',
  ),
  setting(null, ['SYNC_HEARTBEAT_FILE'], '', 'a file that is touched every 5 s while the process works'),
  setting(null, ['MYLAB_SYNC_DEBUG'], '', '`1`: prints unexpected errors in full, which may quote row data'),
]
