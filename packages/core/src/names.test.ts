import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SourceTableName, TargetTableName } from './names.js'

const bySource = (table: SourceTableName): string => table

test("the compiler lets no target name pass for a source's", () => {
  assert.equal(bySource('orders'), 'orders')
  const target = 'orders' as TargetTableName
  // @ts-expect-error code with a target's name must look its table up
  bySource(target)
})
