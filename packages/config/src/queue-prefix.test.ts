import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from './config.js'

const ENDS = { DB_HOST: 'one', DB_DATABASE: 'shop', PGSQL_HOST: 'two', PGSQL_DATABASE: 'shop' }
const prefix = (env: Readonly<Record<string, string>>): string =>
  loadConfig({ env: { ...ENDS, ...env }, directory: '/nonexistent' }).queuePrefix

test('each installation has its own prefix, shared by all its processes', () => {
  const others = [
    {},
    { DB_HOST: 'three' },
    { DB_PORT: '3307' },
    { DB_DATABASE: 'other' },
    { PGSQL_HOST: 'three' },
    { PGSQL_DATABASE: 'other' },
    { PGSQL_SCHEMA: 'other' },
    { SYNC_STATE_SCHEMA: 'other' },
    { SYNC_INSTANCE: 'other' },
  ]
  assert.equal(new Set(others.map(prefix)).size, others.length)
  assert.equal(prefix({ DB_PASSWORD: 'a', REDIS_URL: 'redis://x' }), prefix({ DB_PASSWORD: 'b' }))
  assert.match(prefix({}), /^\{mylab-sync-default-[0-9a-f]{12}\}$/)
})

test('a given prefix is used as is; one that Redis or BullMQ could misread is refused', () => {
  assert.equal(prefix({ SYNC_QUEUE_PREFIX: 'mine' }), 'mine')
  assert.throws(() => prefix({ SYNC_QUEUE_PREFIX: 'a b' }), { code: 'configuration' })
})
