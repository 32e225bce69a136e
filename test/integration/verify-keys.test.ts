import assert from 'node:assert/strict'
import { test } from 'node:test'
import { repair, verify } from '@mylab-sync/engine'
import { sharedServers } from '@mylab-sync/testkit'
import { createInstallation } from '../support/installation.js'
import { intercept } from '../support/intercept.js'
import { keyTypes } from '../support/key-types.js'

const servers = await sharedServers()
const TYPES = keyTypes(servers.isMysql ? 'mysql' : 'mariadb')

/** Each type is a key of its own, or the second column of one. */
const TABLES = TYPES.map((type) => {
  const part = `k${type.prefix === undefined ? '' : `(${type.prefix})`}`
  const key = type.common ? `n, ${part}` : part
  const create = `CREATE TABLE ${type.name}_key (n INT NOT NULL, k ${type.sql} NOT NULL, v INT, PRIMARY KEY (${key})) ENGINE=InnoDB`
  return { table: `${type.name}_key`, create, type }
})

test('whatever the type of a key, dirty rows are left out and all others are compared', async () => {
  const schema = TABLES.map(({ table, create, type }) => {
    const rows = type.values.map((value, at) => `(${at}, ${value}, ${at})`)
    return `${create}; INSERT INTO ${table} VALUES ${rows.join(', ')};`
  })
  const settings = "SET SESSION sql_mode = '', time_zone = '-08:00';"
  await using installation = await createInstallation(servers, 'verify_keys', {
    schema: `${settings}${schema.join('\n')}`,
    copied: true,
  })
  const { app, reader } = installation
  const whole = await verify(installation.context, { tables: [] })
  const notEqual = whole.tables.filter(({ equal, quarantined }) => !equal || quarantined > 0)
  assert.deepEqual(notEqual, [])
  // The last row of each changes between the two snapshots of the source; its neighbour is spoilt.
  await reader.query(TABLES.map(({ table }) => `UPDATE ${table} SET v = 99 WHERE n = 1`).join(';'))
  let isDirty = false
  const context = intercept(installation.context, async ({ point }) => {
    if (isDirty || point !== 'drain.openSnapshot:after') return
    isDirty = true
    await app.query(TABLES.map(({ table }) => `UPDATE ${table} SET v = 7 WHERE n = 0`).join(';'))
  })
  const spoilt = await verify(context, { tables: [] })
  const report = Object.fromEntries(
    spoilt.tables.map(({ table, keys }) => [table, keys.map(({ kind, columns }) => `${kind} ${columns.join()}`)]),
  )
  assert.deepEqual(report, Object.fromEntries(TABLES.map(({ table }) => [table, ['different v']])))
  await reader.query(TABLES.map(({ table }) => `DELETE FROM ${table} WHERE n = 1`).join(';'))
  const missing = await repair(installation.context, { tables: [] })
  assert.deepEqual(
    missing.found.tables.filter((table) => table.missing !== 1 || table.surplus + table.different > 0),
    [],
  )
  assert.equal(missing.left.equal, true)
})
