import { rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { ACCOUNT, type ServiceKind } from './service.js'

const SETTINGS = ['listen_addresses=127.0.0.1', 'max_connections=200', 'shared_buffers=256MB', 'max_wal_size=8GB']
// The unpacked packages lack LLVM, and compiling plans would only distort measurements.
const WITHOUT_COMPILER = ['jit=off']
const FAST = ['fsync=off', 'full_page_writes=off']

export const POSTGRES: ServiceKind = {
  name: 'postgres',
  title: 'PostgreSQL',
  programs: [{ file: 'postgres' }],
  besides: ['initdb'],
  version: /PostgreSQL\) ([\d.]+)/,
  stopSignal: 'SIGINT',

  async initialise({ installation, folder }, run) {
    const passwordFile = join(folder, 'password')
    await writeFile(passwordFile, `${ACCOUNT.password}\n`, { mode: 0o644 })
    const data = ['-D', `${folder}/data`, '-U', ACCOUNT.user, '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync']
    const logins = ['--auth-local=trust', '--auth-host=scram-sha-256', `--pwfile=${passwordFile}`]
    await run(join(dirname(installation.program), 'initdb'), [...data, ...logins])
    await rm(passwordFile)
  },

  serverArguments({ folder, port, durable, extraArguments }) {
    const settings = [`unix_socket_directories=${folder}`, ...SETTINGS, ...WITHOUT_COMPILER, ...(durable ? [] : FAST)]
    const assigned = settings.flatMap((setting) => ['-c', setting])
    return ['-D', `${folder}/data`, '-p', String(port), ...assigned, ...extraArguments]
  },

  async answers({ folder, port }) {
    const client = new pg.Client({ host: '127.0.0.1', port, ...ACCOUNT, database: 'postgres' })
    client.on('error', () => {})
    try {
      await client.connect()
      const { rows } = await client.query<{ data_directory: string }>('SHOW data_directory')
      return rows[0]?.data_directory === `${folder}/data`
    } finally {
      await client.end()
    }
  },
}
