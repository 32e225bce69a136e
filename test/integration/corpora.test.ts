import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ServerSet } from '@mylab-sync/testkit'
import { assertGolden } from '../support/golden.js'
import { cli } from '../support/run.js'

/** A folder with one folder per database, each with the `*.sql` that create it: sakila, northwind, chinook, openmrs. */
const CORPORA = process.env['CORPORA']
const skip = CORPORA === undefined ? 'CORPORA names no folder of databases' : false

let servers: ServerSet
before(async () => {
  if (!skip) servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
})
after(() => servers?.close())

/** As the server's own client reads it, whose DELIMITER the server does not know. */
function* statements(text: string): Iterable<string> {
  const parts = text.split(/^DELIMITER[ \t]+(\S+)[ \t]*$/m)
  for (let at = 0, delimiter = ';'; at < parts.length; delimiter = parts[at + 1] ?? ';', at += 2) {
    const part = parts[at] ?? ''
    for (const one of delimiter === ';' ? [part] : part.split(delimiter)) if (one.trim() !== '') yield one
  }
}

async function load(name: string): Promise<void> {
  await servers.createDatabases({ source: name, target: name })
  await using app = await servers.sourceAdmin(name)
  await app.query('SET FOREIGN_KEY_CHECKS = 0')
  const folder = join(CORPORA ?? '', name)
  for (const file of readdirSync(folder).sort())
    for (const statement of statements(readFileSync(join(folder, file), 'utf8'))) await app.query(statement)
}

for (const name of ['chinook', 'northwind', 'openmrs', 'sakila'])
  test(`doctor and plan of ${name} match their golden output`, { skip }, async () => {
    await load(name)
    const env = { ...servers.environment({ source: name, target: name, redis: false }), SYNC_USE_QUEUE: 'false' }
    const doctor = await cli(['doctor'], env)
    const plan = await cli(['plan'], env)
    assert.equal(doctor.err + plan.err, '')
    // The server only estimates rows and bytes, and so which tables are the largest.
    const told = plan.out.replace(/\nAbout .*\n(?: {2}.*\n)+/, '')
    assert.notEqual(told, plan.out)
    assertGolden(
      `${servers.isMysql ? 'corpora-mysql' : 'corpora'}/${name}`,
      `doctor: exit ${doctor.code}\n${doctor.out}plan: exit ${plan.code}\n${told}`,
    )
  })
