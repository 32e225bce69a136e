import { parseServerUrl, TLS_MODES, type TlsSettings } from '@mylab-sync/core'
import { stringify } from 'yaml'
import type { Answers } from './answers.js'

/** A configuration file that loadConfig can read, and the secrets kept out of it, by variable. */
export interface WrittenConfig {
  readonly yaml: string
  readonly secrets: Readonly<Record<string, string>>
}

/** Keeps passwords out of the file: people share it and put it under version control. */
export function writtenConfig({ source, target, redisUrl, redisTls }: Answers): WrittenConfig {
  const redis = redisPart(redisUrl, redisTls)
  const yaml = `# MyLab Database Sync, written by mylab-sync init.
# Settings count in this order: command line, environment, .env in the working directory, this file.
# An unknown key is an error. Passwords are not kept here, but in the environment or in .env.

# MySQL or MariaDB
source:
  host: ${scalar(source.host)}
  port: ${source.port}
${source.socket === null ? '  # socket: /run/mysqld/mysqld.sock   # instead of host and port' : `  socket: ${scalar(source.socket)}`}
  database: ${scalar(source.database)}
  username: ${scalar(source.user)}
  # the password: DB_PASSWORD, or DB_PASSWORD_FILE with the path of a file that holds it
${linePart(source.tls)}

# PostgreSQL
target:
  host: ${scalar(target.host)}
  port: ${target.port}
  database: ${scalar(target.database)}
  username: ${scalar(target.user)}
  # the password: PGSQL_PASSWORD, or PGSQL_PASSWORD_FILE
  schema: ${scalar(target.schema)}
${linePart(target.tls)}
${target.stateSchema === 'mylab_sync' ? '  # stateSchema: mylab_sync   # the schema of the state tables' : `  stateSchema: ${scalar(target.stateSchema)}`}

# Redis is needed only for workers and schedulers on several hosts; without it one process does everything.
${redis.yaml}

# Selected tables; * and ? are wildcards. mylab-sync plan shows the result.
tables:
  include: ['*']
  exclude: [migrations, jobs, failed_jobs, password_resets]
  # patients:
  #   columns:
  #     is_active: boolean

# Overrides of the default type for all columns of a source type, and of the rules for values that do not fit:
# types:
#   tinyint(1): boolean
#   bigint unsigned: bigint
#   datetime: { zero-date: 'null' }

# Daemon and workers compare the contents of all tables in this share of the time. repair: auto repairs rows that differ at once;
# with report they are shown as a problem of the table.
# verify:
#   background: 1%   # 0 turns it off
#   repair: report

# names: keep   # or lower: fold all names in the target to lower case
# intervalSeconds: 5   # the shortest interval between two lines on stdout
# instance: default   # another name for a second installation between the same databases
# auditTable: sync_audit_log
`
  const secrets = {
    ...(source.password === '' ? {} : { DB_PASSWORD: source.password }),
    ...(target.password === '' ? {} : { PGSQL_PASSWORD: target.password }),
    ...redis.secrets,
  }
  return { yaml, secrets }
}

/** Writes the mode even if it follows from the other settings. */
function linePart({ mode, rootCert, cert, key }: TlsSettings): string {
  const isDefault = mode === 'prefer' && rootCert === null
  const given = Object.entries({ sslRootCert: rootCert, sslCert: cert, sslKey: key })
  return [
    `  ${isDefault ? '# ' : ''}sslMode: ${mode}   # ${TLS_MODES.join(', ')}`,
    ...given.flatMap(([name, file]) => (file === null ? [] : [`  ${name}: ${scalar(file)}`])),
    ...(rootCert === null
      ? [
          "  # setting sslRootCert to the server's authority enables verification; sslCert, sslKey: our client certificate",
        ]
      : []),
  ].join('\n')
}

function redisPart(url: string | null, tls: Answers['redisTls']): WrittenConfig {
  if (url === null)
    return {
      yaml: '# redis:\n#   host: 127.0.0.1\n#   port: 6379\n#   # the password: REDIS_PASSWORD, or REDIS_PASSWORD_FILE',
      secrets: {},
    }
  const { scheme, host = '', port, user, password, database, parameters } = parseServerUrl(url)
  const isPlain = scheme === 'redis' && user === undefined && database === undefined && parameters.length === 0
  if (isPlain)
    return {
      yaml: `redis:\n  host: ${scalar(host)}\n  port: ${port ?? 6379}\n  # the password: REDIS_PASSWORD, or REDIS_PASSWORD_FILE`,
      secrets: password === undefined ? {} : { REDIS_PASSWORD: password },
    }
  const files = tlsPart(tls)
  if (password === undefined) return { yaml: `redis:\n  url: ${scalar(url)}${files}`, secrets: {} }
  const yaml = `# the address of Redis contains a password, so it is in REDIS_URL${files === '' ? '' : `\nredis:${files}`}`
  return { yaml, secrets: { REDIS_URL: url } }
}

function tlsPart(tls: Answers['redisTls']): string {
  const files = Object.entries(tls ?? {}).flatMap(([name, path]) =>
    path === null ? [] : [`\n    ${name}: ${scalar(path)}`],
  )
  return files.length === 0 ? '' : `\n  tls:${files.join('')}`
}

/** Formats a string as a one-line YAML scalar, quoted if it would otherwise mean something else. */
function scalar(text: string): string {
  return stringify(text, { lineWidth: 0, blockQuote: false }).trimEnd()
}
