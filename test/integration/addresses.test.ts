import assert from 'node:assert/strict'
import { chmod } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { sharedServers } from '@mylab-sync/testkit'
import { cli } from '../support/run.js'
import { sharedFolder } from '../support/folders.js'

const NAME = 'addresses'
const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

const folder = await sharedFolder('redis')
await chmod(folder, 0o777)
const servers = await sharedServers({
  services: ['mariadb', 'postgres', 'redis'],
  extraArguments: {
    mariadb: ['--bind-address=*'],
    postgres: ['-c', 'listen_addresses=*'],
    redis: [
      '--bind',
      '127.0.0.1',
      ...(hasIpv6 ? ['::1'] : []),
      '--unixsocket',
      join(folder, 'r.sock'),
      '--unixsocketperm',
      '777',
    ],
  },
})
await servers.createDatabases({ source: NAME, target: NAME })
const app = await servers.sourceAdmin(NAME)
await app.query('CREATE TABLE t (id INT PRIMARY KEY) ENGINE=InnoDB')
await app.end()

/** All three servers by what `at` gives; the accounts are those of the set. */
async function work(at: Readonly<Record<string, string>>): Promise<void> {
  const env = { ...servers.environment({ source: NAME, target: NAME }), SYNC_USE_QUEUE: 'true', ...at }
  for (const args of [['migrate'], ['doctor'], ['enqueue', 'drain']]) {
    const { code, err, out } = await cli(args, env)
    assert.equal(code, 0, `${args.join(' ')}: ${out}${err}`)
  }
}

test('all three servers are reached by IPv6, with and without brackets', {
  skip: hasIpv6 ? false : 'this machine has no IPv6 loopback address',
}, async () => {
  const redis = new URL(servers.redisUrl)
  await work({ DB_HOST: '::1', PGSQL_HOST: '[::1]', REDIS_URL: `redis://[::1]:${redis.port}` })
  const { user, password, port } = servers.source
  await work({
    DB_HOST: '',
    DB_PORT: '',
    SYNC_SOURCE_URL: `mysql://${user}:${encodeURIComponent(password)}@[::1]:${port}/${NAME}`,
    PGSQL_HOST: '::1',
    REDIS_URL: '',
    REDIS_HOST: '::1',
    REDIS_PORT: redis.port,
  })
})

test('all three servers are reached by socket, as a path and percent-encoded', async () => {
  const admin = await servers.targetAdmin()
  const { rows } = await admin.query<{ unix_socket_directories: string }>('SHOW unix_socket_directories')
  await admin.end()
  const [directory = ''] = (rows[0]?.unix_socket_directories ?? '').split(',')
  const socket = servers.source.socketPath ?? ''
  await work({ DB_HOST: socket, PGSQL_HOST: directory, REDIS_URL: `redis+unix://${join(folder, 'r.sock')}?db=1` })
  await work({
    DB_HOST: encodeURIComponent(socket),
    PGSQL_HOST: encodeURIComponent(directory),
    REDIS_URL: `unix://${join(folder, 'r.sock')}`,
  })
})
