import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_TLS, type SyncError } from '@mylab-sync/core'
import { shared, sharedServers } from '@mylab-sync/testkit'
import { createSource } from '../source.js'

const NAME = 'refusals'
const servers = await sharedServers()
await servers.createDatabases({ source: NAME, target: NAME })
const admin = await shared(servers.sourceAdmin(NAME))

const USER = "refused@'%'"

/** Ways in which a server refuses an account, and the remedy that is reported. */
const REFUSALS: readonly {
  readonly name: string
  readonly numbers: readonly number[]
  readonly by: string
  readonly remedy: RegExp
  readonly undo?: string
  readonly held?: number
}[] = [
  {
    name: 'an unauthorised database',
    numbers: [1044],
    by: `REVOKE ALL ON ${NAME}.* FROM ${USER}`,
    remedy: /^grant the account/,
  },
  {
    name: 'an expired password',
    numbers: [1862, 1820],
    by: `ALTER USER ${USER} PASSWORD EXPIRE`,
    remedy: /IDENTIFIED BY/,
  },
  { name: 'a locked account', numbers: [3118, 4151], by: `ALTER USER ${USER} ACCOUNT LOCK`, remedy: /ACCOUNT UNLOCK/ },
  {
    name: 'an excess connection',
    numbers: [1226],
    by: `ALTER USER ${USER} WITH MAX_USER_CONNECTIONS 1`,
    remedy: /MAX_USER_CONNECTIONS 0/,
    held: 1,
  },
  {
    name: 'a plaintext connection',
    // 1045: MariaDB's.
    numbers: [3159, 1045],
    by: 'SET GLOBAL require_secure_transport = ON',
    remedy: /DB_SSLMODE=require/,
    undo: 'SET GLOBAL require_secure_transport = OFF',
  },
]

for (const { name, numbers, by, remedy, undo, held = 0 } of REFUSALS)
  test(`${name} is refused: number, server text and remedy are reported`, async () => {
    await admin.query(`CREATE USER ${USER} IDENTIFIED BY 'pw'; GRANT SELECT ON ${NAME}.* TO ${USER}`)
    const { host, port } = servers.source
    const open = () =>
      createSource({
        host,
        port,
        user: 'refused',
        password: 'pw',
        database: NAME,
        tls: NO_TLS,
        auditTable: 'sync_audit_log',
        instance: 'default',
      })
    const opened: Awaited<ReturnType<typeof open>>[] = []
    try {
      await admin.query(by)
      for (let one = 0; one < held; one++) {
        const source = await open()
        opened.push(source)
      }
      const error = await open().then(
        (source) => source.close().then(() => assert.fail('it was let in')),
        (thrown: unknown) => thrown as SyncError,
      )
      assert.equal(error.code, 'cannot-connect', error.message)
      assert.ok(
        numbers.some((number) => error.message.includes(`(${number}): `)),
        error.message,
      )
      assert.match(error.remedy ?? '', remedy)
    } finally {
      for (const source of opened) await source.close()
      if (undo !== undefined) await admin.query(undo)
      await admin.query(`DROP USER ${USER}`)
    }
  })
