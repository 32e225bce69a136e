import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MARIADB, sourceArguments } from './mariadb.js'
import { ACCOUNT, type Place, type ServiceKind } from './service.js'

const MEBIBYTE = 2 ** 20

/**
 * MySQL as the source, with its own defaults where speed allows, including a binary log and GTIDs. Foreign keys are InnoDB's:
 * by default 9.6 and later change children without firing triggers, so that no comparison could hold.
 */
export const MYSQL: ServiceKind = {
  ...MARIADB,
  title: 'MySQL',
  programs: [{ file: 'mysqld' }],
  version: /Ver ([\d.]+)(?!.*MariaDB)/,

  async initialise(place, run) {
    const accounts = join(place.folder, 'accounts.sql')
    await writeFile(accounts, accountStatements(), { mode: 0o644 })
    await run(place.installation.program, [...folders(place), '--initialize-insecure', `--init-file=${accounts}`])
  },

  serverArguments: (place) => [
    ...folders(place),
    ...sourceArguments(place),
    `--innodb-redo-log-capacity=${256 * MEBIBYTE}`,
    `--sync-binlog=${place.durable ? 1 : 0}`,
    '--mysqlx=OFF',
    // with a binary log, an account without SUPER needs this to create triggers, as docs/operations.md says
    '--log-bin-trust-function-creators=ON',
    '--loose-innodb-native-foreign-keys=ON',
    '--secure-file-priv=NULL',
    ...place.extraArguments,
  ],
}

function folders({ installation, folder }: Place): string[] {
  const base = dirname(dirname(installation.program))
  return [
    '--no-defaults',
    `--basedir=${base}`,
    `--plugin-dir=${base}/lib/mysql/plugin`,
    `--datadir=${folder}/data`,
    `--tmpdir=${folder}/tmp`,
  ]
}

/** One statement per line. `root` on the socket has no password, as with MariaDB. */
function accountStatements(): string {
  const account = `'${ACCOUNT.user}'@'%'`
  return [
    `CREATE USER ${account} IDENTIFIED BY '${ACCOUNT.password}';`,
    `GRANT ALL PRIVILEGES ON *.* TO ${account} WITH GRANT OPTION;`,
    '',
  ].join('\n')
}
