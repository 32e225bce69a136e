// npm run docs [-- --check]: generates pages from the code; with --check only reports which are stale.
import { readFileSync, writeFileSync } from 'node:fs'
import { COMMANDS } from '../apps/cli/dist/commands.js'
import { COMMON } from '../apps/cli/dist/definition.js'
import { SECRETS, SETTINGS } from '../packages/config/dist/index.js'
import { sourceColumn } from '../packages/core/dist/testing.js'
import { defaultMappingOptions, mapTables, typeName, valueOutcomes } from '../packages/mapping/dist/index.js'

import { performancePages } from './performance-page.mjs'

const MADE = '<!-- Generated from the code by `npm run docs`; change it there. -->\n\n'
const code = (text) => (text === '' ? '' : `\`${text}\``)
const cell = (text) => text.replaceAll('|', '\\|')
const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |\n`).join('')

function valueOf({ type, choices }) {
  if (type === 'boolean') return ''
  if (choices) return ` ${choices.filter((each) => each !== '').join('|')}`
  return type === 'number' ? ' N' : ' TEXT'
}

function defaultOf({ type, default: given }) {
  if (type === 'boolean') return given ? 'yes' : ''
  return given === undefined || Array.isArray(given) ? '' : code(String(given))
}

function optionRow([name, option]) {
  const { alias, array, describe = '' } = option
  const names = `\`--${name}${valueOf(option)}\`${alias ? `, \`-${alias}\`` : ''}${array ? ' (repeatable)' : ''}`
  return [names, describe, defaultOf(option)]
}

function commandPage() {
  const common = table(['option', 'does', 'default'], Object.entries(COMMON).map(optionRow))
  const parts = COMMANDS.map(({ name, describe, options, positionals, examples }) => {
    const dashed = Object.entries(options).filter(([each]) => !positionals.includes(each))
    const words = positionals.map((each) => `\`${each}\`: ${options[each].choices.join(', ')}\n\n`).join('')
    const list = dashed.length === 0 ? '' : `${table(['option', 'does', 'default'], dashed.map(optionRow))}\n`
    const lines = examples.map(([line, does]) => `mylab-sync ${line}   # ${does}\n`).join('')
    return `## ${name}\n\n${describe[0].toUpperCase()}${describe.slice(1)}.\n\n${words}${list}\`\`\`sh\n${lines}\`\`\`\n`
  })
  return `# Commands\n\n${MADE}stdout is data, stderr is talk. Each command also answers to \`sync:<command>\`, its name in the older package.
Exit codes: 0 ok, 1 failure, 2 usage, 3 configuration, 4 cannot connect, 5 differences or problems found, 130 and 143 stopped by a signal.
Table names may contain the wildcards \`*\` and \`?\`; a name that matches nothing exits with 2.

## Options of every command\n\n${common}\n${parts.join('\n')}`
}

function configPage() {
  const rows = SETTINGS.map(({ key, variables, default: value, what }) => [
    variables.map((each) => code(each)).join(', '),
    code(key ?? ''),
    ['', 'required'].includes(value) || value.includes(' ') ? value : code(value),
    what,
  ])
  return `# Configuration\n\n${MADE}Order of precedence: flag, environment, \`.env\` in the working directory, file, default.
The file is \`mylab-sync.yaml\` in the working directory (or \`--config\`, \`SYNC_CONFIG\`), YAML or JSON; \`mylab-sync init\` writes a commented one.
An unknown key, a wrong type or an impossible combination exits with 3 and one line per fault. An empty variable counts as not set.

${table(['variable', 'key in the file', 'default', 'meaning'], rows)}
If two variables are listed, the second is the older package's or the application's name.

Each of ${SECRETS.map(code).join(', ')} can also be given as \`NAME_FILE\`: the path of a file that contains the value.

\`\`\`yaml
source: { host: db1, database: clinic, username: sync }
target: { host: db2, database: clinic, username: sync, sslMode: verify-full, sslRootCert: ca.pem }
tables:
  include: ['*']
  exclude: [migrations, jobs, 'tmp_*']
  patients:
    columns:
      is_active: boolean
types:
  bigint unsigned: bigint
\`\`\`
`
}

const column = (dataType, more = {}) => sourceColumn('c', dataType, { nullable: true, ...more })
const text = { charset: 'utf8mb4', collation: 'utf8mb4_bin' }
const unsigned = (type) => column(type, { unsigned: true, columnType: `${type} unsigned` })

/** One column of every kind, as read from the source's catalog. */
const KINDS = [
  column('tinyint'),
  unsigned('tinyint'),
  column('tinyint', { columnType: 'tinyint(1)' }),
  column('smallint'),
  unsigned('smallint'),
  column('mediumint'),
  unsigned('mediumint'),
  column('int'),
  unsigned('int'),
  column('bigint'),
  unsigned('bigint'),
  column('decimal', { columnType: 'decimal(12,2)', precision: 12, scale: 2 }),
  column('float'),
  column('double'),
  column('float', { columnType: 'float(9,2)', precision: 9, scale: 2 }),
  column('double', { columnType: 'double(8,2)', precision: 8, scale: 2 }),
  column('bit', { columnType: 'bit(1)', precision: 1 }),
  column('bit', { columnType: 'bit(8)', precision: 8 }),
  column('char', { ...text, columnType: 'char(10)', length: 10 }),
  column('varchar', { ...text, columnType: 'varchar(255)', length: 255 }),
  column('text', text),
  column('longtext', text),
  column('enum', { ...text, columnType: "enum('a','b')", members: ['a', 'b'] }),
  column('set', { ...text, columnType: "set('a','b')", members: ['a', 'b'] }),
  column('json', { json: true }),
  column('longtext', { ...text, json: true, columnType: 'longtext with json_valid (MariaDB)' }),
  column('binary', { columnType: 'binary(16)', length: 16 }),
  column('varbinary', { columnType: 'varbinary(255)', length: 255 }),
  column('blob'),
  column('date'),
  column('datetime'),
  column('datetime', { columnType: 'datetime(6)', fraction: 6 }),
  column('timestamp'),
  column('date', { columnType: 'date NOT NULL', nullable: false }),
  column('datetime', { columnType: 'datetime NOT NULL', nullable: false }),
  column('timestamp', { columnType: 'timestamp NOT NULL', nullable: false }),
  column('time'),
  column('year'),
  column('point'),
  column('geometry'),
  column('uuid'),
  column('inet4'),
  column('inet6'),
  column('vector'),
]
const OPTIONS = ['boolean', 'bigint', 'json', 'text', 'uuid', 'time']

/** The mapping of one column; null if it is refused. */
function mappedColumn(source, options) {
  const key = column('int', { name: 'id', nullable: false })
  const whole = {
    name: 't',
    engine: 'InnoDB',
    systemVersioned: false,
    columns: [key, source],
    primaryKey: ['id'],
    indexes: [],
    foreignKeys: [],
    checks: [],
    comment: '',
    estimatedRows: 0,
    estimatedBytes: 0,
    fault: null,
  }
  const { mapped } = mapTables([whole], options)
  return mapped.get('t')?.columns[1] ?? null
}

function typePage() {
  const rows = KINDS.map((source) => {
    const name = typeName(source)
    const becomes = mappedColumn(source, defaultMappingOptions)
    if (becomes === null) throw new Error(`no rule for ${source.columnType}`)
    const others = OPTIONS.flatMap((option) => {
      const type = mappedColumn(source, { ...defaultMappingOptions, types: { [name]: option } })?.type
      return type === undefined || type === becomes.type ? [] : [`\`${option}\`: ${type}`]
    })
    const rules = valueOutcomes(becomes).map(({ rule, outcome }) => `${rule}: ${outcome}`)
    return [code(source.columnType), code(becomes.type), others.join('; '), rules.join('; ')]
  })
  return `# Types and values\n\n${MADE}What each column type becomes in PostgreSQL. Options are set per type or per column; the column's take precedence: [configuration](config.md).
A table with a column of any other type is refused, with the reason in \`mylab-sync plan\`; the other tables are not affected. \`mylab-sync plan\` shows the mapping of your own columns.

${table(['source', 'target', 'options', 'values that do not fit become'], rows)}
${VALUES}`
}

const VALUES = `## Values

Altered values are counted by table, column and rule, with sample keys, in \`mylab_sync.sync_sanitised\`. A value that no rule covers quarantines its row
(\`mylab-sync show-errors\`), which blocks nothing else. Rules can be set as options: \`{ type: text, nul-byte: quarantine, zero-date: '1970-01-01' }\`.

| rule | when | options |
|---|---|---|
| \`zero-date\` | \`0000-00-00\`, with or without a time; in a key and at both ends of a foreign key with actions \`-infinity\`, but for TIMESTAMP \`1970-01-01 00:00:00+00\` | \`null\`, \`-infinity\`, a date, \`quarantine\` |
| \`partial-date\` | month or day 0, not all three; follows \`zero-date\` | the same, and \`clamp\` |
| \`nul-byte\` | U+0000 in text | \`remove\`, \`{ replace: '?' }\`, \`quarantine\` |
| \`invalid-text\` | unpaired surrogates, which the source stores but UTF-8 cannot encode: U+FFFD | \`replace\`, \`quarantine\` |
| \`nul-escape\` | \`\\u0000\` in a JSON string: removed | type option \`json\` keeps it |
| \`invalid-json\` | MariaDB JSON that PostgreSQL rejects | \`string\`, \`null\`, \`quarantine\` |
| \`not-boolean\` | a value other than 0 and 1 in a boolean column | \`true\`, \`quarantine\` |
| \`enum-error\` | ENUM index 0 | the empty string, \`null\` |

In key columns, and in the columns of foreign keys with actions (CASCADE, SET NULL, SET DEFAULT), only the exact zero date is replaced; any other
rule that would alter such a column quarantines the row instead, so that two keys never become one. A foreign key column uses the options of the
column that it references. Year 0000 is kept, as \`0001 BC\`.

\`FLOAT(M,D)\` and \`DOUBLE(M,D)\` carry the number that the source displays, with D digits, also in keys; the stored number differs
(\`DOUBLE(5,1)\` -0.1 is -0.09999999999999998). If two rows have keys that differ only beyond the displayed digits, which an \`ALTER TABLE\` that adds the
digits can leave behind, their table is \`broken\` until one of them is changed.

## Objects

| object | becomes |
|---|---|
| primary key | the same columns; its text columns have \`COLLATE "C"\` |
| UNIQUE | a deferrable constraint, or an immediate one if it is the key or a foreign key references it; over prefixes or long columns a unique index on an expression |
| index | a btree on the same columns; if a value is too long for it (2,704 bytes) it is omitted, and \`mylab-sync status --problems\` says so; FULLTEXT and SPATIAL are listed as not carried |
| foreign key | \`NO ACTION DEFERRABLE INITIALLY DEFERRED\`, validated once the rows satisfy it; if rows violate it, the constraint is suspended and the rows are carried; one that references part of a key or a plain index, which PostgreSQL does not support, is not carried |
| AUTO_INCREMENT | an identity column; if its type cannot be one (BIGINT UNSIGNED, FLOAT, DOUBLE), a sequence of its own as DEFAULT; applying changes does not advance the sequence ([limits](limits.md)) |
| DEFAULT, CHECK | carried if PostgreSQL can express it; the rest is listed by \`mylab-sync plan\` |
| generated column | an ordinary column with the generated values |
| views, routines, events, triggers | not carried; \`mylab-sync plan\` counts them |

Names are kept, including case. A name over 63 bytes is truncated to 55, followed by 8 hex digits of its SHA-256. \`names: lower\` folds all names to lower case.
`

const performance = performancePages(new URL('../docs', import.meta.url).pathname)
const pages = {
  'docs/cli.md': commandPage(),
  'docs/config.md': configPage(),
  'docs/types.md': typePage(),
  ...Object.fromEntries(performance.map(([file, page]) => [`docs/${file}`, page])),
}
const stale = Object.entries(pages).filter(([file, page]) => {
  try {
    return readFileSync(new URL(`../${file}`, import.meta.url), 'utf8') !== page
  } catch {
    return true
  }
})
if (process.argv.includes('--check')) {
  for (const [file] of stale) process.stderr.write(`${file} is stale: npm run docs\n`)
  process.exitCode = stale.length === 0 ? 0 : 1
} else for (const [file, page] of stale) writeFileSync(new URL(`../${file}`, import.meta.url), page)
