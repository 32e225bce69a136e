import { TLS_MODES } from '@mylab-sync/core'

/** One setting as the documentation lists it. */
export interface Setting {
  /** In the file; null: in the environment only. */
  readonly key: string | null
  /** In the environment, the strongest first. */
  readonly variables: readonly string[]
  readonly default: string
  readonly what: string
}

/** Variables whose value may stand in a file that `NAME_FILE` names. */
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
  "a file with the authority that has signed the server's certificate, in PEM; without a mode it means `verify-full`"
const CLIENT = 'a file with a certificate that the server asks of us, in PEM'
const CLIENT_KEY = 'a file with its key, in PEM, without a passphrase'

/** Every key of the file and every variable; a test holds it to both. */
export const SETTINGS: readonly Setting[] = [
  setting(
    'source.host',
    ['DB_HOST'],
    '127.0.0.1',
    'MySQL or MariaDB: a name, an address of IPv4 or IPv6, or the path of a socket',
  ),
  setting('source.port', ['DB_PORT'], '3306', ''),
  setting('source.socket', ['DB_SOCKET'], '', 'a Unix socket; wins over host and port'),
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
    'all of these in one: `mysql://user:password@host:port/database?ssl-mode=VERIFY_CA&ssl-ca=FILE` (`ssl-cert`, `ssl-key`), IPv6 in brackets, a socket percent-encoded (`%2Frun%2Fmysqld.sock`); the single variables win',
  ),
  setting('target.host', ['PGSQL_HOST'], '127.0.0.1', 'PostgreSQL: the same, of a socket its folder'),
  setting('target.port', ['PGSQL_PORT'], '5432', ''),
  setting('target.database', ['PGSQL_DATABASE'], 'required', ''),
  setting('target.username', ['PGSQL_USERNAME'], 'postgres', ''),
  setting('target.password', ['PGSQL_PASSWORD'], '', ''),
  setting('target.schema', ['PGSQL_SCHEMA'], 'public', 'where the tables are made'),
  setting(
    'target.sslMode',
    ['PGSQL_SSLMODE'],
    'prefer',
    `${TLS_MODES.map((mode) => `\`${mode}\``).join(', ')}: [encrypted lines](encrypted-lines.md)`,
  ),
  setting('target.sslmode', [], '', 'the older name of that key'),
  setting('target.sslRootCert', ['PGSQL_SSLROOTCERT'], '', AUTHORITY),
  setting('target.sslCert', ['PGSQL_SSLCERT'], '', CLIENT),
  setting('target.sslKey', ['PGSQL_SSLKEY'], '', CLIENT_KEY),
  setting(
    'target.stateSchema',
    ['SYNC_STATE_SCHEMA'],
    'mylab_sync',
    'where the state is kept; by default the instance is appended where one is named',
  ),
  setting(
    'target.url',
    ['SYNC_TARGET_URL'],
    '',
    'all of these in one: `postgres://user:password@host:port/database?schema=public&sslmode=verify-full&sslrootcert=FILE` (`sslcert`, `sslkey`); the single variables win',
  ),
  setting('redis.host', ['REDIS_HOST'], '', 'no host and no URL: no queue'),
  setting('redis.port', ['REDIS_PORT'], '6379', ''),
  setting('redis.username', ['REDIS_USERNAME'], '', 'an ACL user; none: the default one'),
  setting('redis.password', ['REDIS_PASSWORD'], '', "`null`, as Laravel's `.env` has it, is none"),
  setting(
    'redis.url',
    ['REDIS_URL'],
    '',
    '`redis://`, `rediss://` (encrypted, always verified), or `redis+unix:///path?db=1`; wins over host and port, and over user and password where it has them',
  ),
  setting(
    'redis.tls.ca',
    ['REDIS_TLS_CA'],
    "node's own authorities",
    'a file (PEM) with the authorities that may have issued the certificate of Redis; with a host instead of a URL it asks for an encrypted line by itself',
  ),
  setting('redis.tls.cert', ['REDIS_TLS_CERT'], '', 'a file (PEM): our certificate, where Redis asks for one'),
  setting('redis.tls.key', ['REDIS_TLS_KEY'], '', 'a file (PEM): its private key, without a passphrase'),
  setting(
    'performance.useQueue',
    ['SYNC_USE_QUEUE'],
    'true where a Redis address is given',
    'false: one process does everything',
  ),
  setting(
    'performance.queuePrefix',
    ['SYNC_QUEUE_PREFIX'],
    'derived from source, target and instance',
    'of all keys in Redis',
  ),
  setting(
    'performance.memoryLimitMb',
    ['SYNC_MEMORY_LIMIT'],
    '256',
    'MB that one process may take, 128 or more; how many keys are held at once follows from it; a row of N MB takes 3 times N besides',
  ),
  setting(
    'batchSize',
    ['SYNC_BATCH_SIZE'],
    '100',
    'rows of one statement where a COPY was refused; a COPY itself has no such limit',
  ),
  setting(
    'intervalSeconds',
    ['SYNC_INTERVAL'],
    '5',
    'at most one line on stdout in this time; changes are looked for every 0.1 s whatever this says',
  ),
  setting(
    'retry.maxAttempts',
    ['SYNC_RETRY_MAX_ATTEMPTS', 'SYNC_RETRY_MAX'],
    '3',
    'tries of `database --once` where a retry may help; daemon and workers go on trying',
  ),
  setting(
    'retry.delayMs',
    ['SYNC_RETRY_DELAY'],
    '100',
    'the first pause between two tries in ms; it doubles, up to 5 s',
  ),
  setting(
    'tables.include',
    ['SYNC_TABLES_INCLUDE', 'SYNC_INCLUDE_TABLES'],
    '*',
    'patterns with `*` and `?`; a comma between them in the variable, a list in the file',
  ),
  setting('tables.exclude', ['SYNC_TABLES_EXCLUDE', 'SYNC_EXCLUDE_TABLES'], '', 'wins over include'),
  setting('tables.<table>.columns.<column>', [], '', 'a type option or value rules: [types](types.md)'),
  setting('types.<type>', [], '', 'the same for all columns of a type'),
  setting('names', [], 'keep', '`keep` or `lower`: names of the target'),
  setting(
    'schemaChanges',
    ['SYNC_SCHEMA_CHANGES'],
    'apply',
    '`apply`: a changed type of a live table is applied by itself; `wait`: the table waits, with the statements to run',
  ),
  setting(
    'instance',
    ['SYNC_INSTANCE'],
    'default',
    'another name for a second installation with tables of its own; part of the names of triggers, log, state and queue',
  ),
  setting(
    'auditTable',
    ['SYNC_AUDIT_TABLE'],
    'sync_audit_log',
    'the change log on the source; by default the instance is appended where one is named',
  ),
  setting(
    'monitoring.log.level',
    ['SYNC_LOG_LEVEL'],
    'info',
    '`trace`, `debug`, `info`, `warn`, `error`, `fatal`, `silent`: what daemon, workers, scheduler and dashboard say on stderr',
  ),
  setting('monitoring.log.format', ['SYNC_LOG_FORMAT'], 'pretty on a terminal, json elsewhere', '`pretty` or `json`'),
  setting('dashboard.user', ['SYNC_DASHBOARD_USER'], 'admin', ''),
  setting('dashboard.password', ['SYNC_DASHBOARD_PASSWORD'], '', 'required beyond loopback'),
  setting('dashboard.port', ['SYNC_DASHBOARD_PORT'], '9090', ''),
  setting(
    'dashboard.tls.cert',
    ['SYNC_DASHBOARD_TLS_CERT'],
    'HTTP',
    'a file (PEM) with the certificate of the page, then those between it and its authority: HTTPS; a replaced one is used by the next connection',
  ),
  setting('dashboard.tls.key', ['SYNC_DASHBOARD_TLS_KEY'], '', 'a file (PEM): its private key, without a passphrase'),
  setting(null, ['SYNC_CONFIG'], 'mylab-sync.yaml, if it is there', 'the configuration file; `--config` wins'),
  setting(null, ['SYNC_HEARTBEAT_FILE'], '', 'a file that is written every 5 s while the process works'),
  setting(null, ['MYLAB_SYNC_DEBUG'], '', '`1`: unexpected errors whole, which may quote row data'),
]
