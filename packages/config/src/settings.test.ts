import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as z from 'zod'
import { FILE } from './file.js'
import { SECRETS, SETTINGS } from './settings.js'

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: unknown
}

function keysOf(schema: Schema, path: string): string[] {
  if (schema.properties === undefined) return [path]
  return Object.entries(schema.properties).flatMap(([key, inner]) =>
    keysOf(inner, path === '' ? key : `${path}.${key}`),
  )
}

test('the settings list holds every key of the file and no other', () => {
  const inFile = keysOf(z.toJSONSchema(FILE, { io: 'input', unrepresentable: 'any' }) as Schema, '')
  const listed = SETTINGS.flatMap(({ key }) => (key === null ? [] : [key.replace(/^(tables|types)\..*/, '$1')]))
  assert.deepEqual([...new Set(listed)].sort(), inFile.sort())
})

test('the settings list holds every variable that is read, secrets included', () => {
  const text = ['config.ts', 'file.ts', 'tls.ts', 'verify-settings.ts']
    .map((file) => readFileSync(new URL(`../src/${file}`, import.meta.url), 'utf8'))
    .join('')
  const read = new Set([...text.matchAll(/env\['(\w+)'\]/g)].map(([, name = '']) => name))
  const elsewhere = ['SYNC_HEARTBEAT_FILE', 'MYLAB_SYNC_DEBUG']
  const listed = SETTINGS.flatMap(({ variables }) => variables)
  assert.deepEqual(listed.sort(), [...read, ...elsewhere].sort())
  for (const name of SECRETS) assert.ok(listed.includes(name), name)
})
