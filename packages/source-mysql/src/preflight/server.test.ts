import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Finding, NO_TLS, type SourceTable } from '@mylab-sync/core'
import type { Session } from '../connection/session.js'
import { type Check, type Facts, quotedAccount } from './check.js'
import { Grants } from './grants.js'
import { sizeFinding } from './leftovers.js'
import { foreignKeyMode, tableNames, version } from './server.js'

/** These checks read only facts. */
function findingsOf(
  check: Check,
  vendor: 'mariadb' | 'mysql',
  found: string,
  more: { variables?: Record<string, string>; tables?: readonly SourceTable[] } = {},
): Finding[] {
  const facts: Facts = {
    server: { vendor, version: found },
    settings: {
      host: '',
      port: 0,
      user: '',
      password: '',
      database: 'app',
      tls: NO_TLS,
      auditTable: 'a',
      instance: 'default',
    },
    tables: more.tables ?? [],
    mappings: [],
    variables: new Map(Object.entries(more.variables ?? {})),
    grants: new Grants([], 'app'),
    definerGrants: new Grants([], 'app'),
    account: "'u'@'%'",
  }
  const outcome = check(facts, null as unknown as Session)
  assert.ok(Array.isArray(outcome))
  return outcome
}

test('servers that allow one trigger per event are refused', () => {
  for (const old of ['10.1.48-MariaDB', '10.2.2-MariaDB', '5.5.68-MariaDB'])
    assert.equal(findingsOf(version, 'mariadb', old)[0]?.code, 'source-version', old)
  for (const good of ['10.2.3-MariaDB', '10.11.19-MariaDB-0+deb12u1-log', '11.8.6-MariaDB', '12.0.2-MariaDB'])
    assert.deepEqual(findingsOf(version, 'mariadb', good), [], good)
  for (const old of ['5.6.51', '5.1.73-log']) assert.equal(findingsOf(version, 'mysql', old).length, 1, old)
  for (const good of ['5.7.42-log', '8.0.46', '9.7.4']) assert.deepEqual(findingsOf(version, 'mysql', good), [], good)
})

test("MySQL 9.6's default foreign key mode is reported where a foreign key acts", () => {
  const key = { name: 'f', columns: ['p'], parentDatabase: null, parent: 'p', parentColumns: ['id'] }
  const table = (onDelete: 'CASCADE' | 'RESTRICT'): SourceTable => ({
    name: 'child',
    engine: 'InnoDB',
    systemVersioned: false,
    columns: [],
    primaryKey: null,
    indexes: [],
    foreignKeys: [{ ...key, onDelete, onUpdate: 'RESTRICT' }],
    checks: [],
    comment: '',
    estimatedRows: 0,
    estimatedBytes: 0,
    fault: null,
  })
  const findingCount = (server: string, mode: string, action: 'CASCADE' | 'RESTRICT'): number =>
    findingsOf(foreignKeyMode, 'mysql', server, {
      variables: { innodb_native_foreign_keys: mode },
      tables: [table(action)],
    }).length
  assert.equal(findingCount('9.7.4', 'OFF', 'CASCADE'), 1)
  assert.equal(findingCount('9.7.4', 'ON', 'CASCADE'), 0)
  assert.equal(findingCount('9.7.4', 'OFF', 'RESTRICT'), 0)
  assert.equal(findingCount('8.4.9', 'OFF', 'CASCADE'), 0)
})

test('names that the server keeps as written but compares in lower case are reported', () => {
  const findingsOfMode = (mode: string): Finding[] =>
    findingsOf(tableNames, 'mysql', '8.4.0', { variables: { lower_case_table_names: mode } })
  assert.equal(findingsOfMode('2')[0]?.severity, 'warning')
  assert.deepEqual(findingsOfMode('0'), [])
})

test('a large change log is reported with the disk space it takes', () => {
  assert.deepEqual(sizeFinding('sync_audit_log', 1e6, 10), [])
  assert.equal(sizeFinding('sync_audit_log', 3e8, 10)[0]?.severity, 'note')
  const [huge] = sizeFinding('sync_audit_log', 6e9, 70_000_000)
  assert.equal(huge?.severity, 'warning')
  assert.equal(huge.cause, "the change log sync_audit_log takes 5.6 GiB of the source's disk (~70000000 entries)")
})

test('an account is split at its last @ and quoted', () => {
  assert.equal(quotedAccount("o'neil@home@10.%"), "'o''neil@home'@'10.%'")
})
