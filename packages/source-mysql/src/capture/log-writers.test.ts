import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOnlyInsert, namesTable, wordsOf } from './log-writers.js'

const LOG = { database: 'shop', table: 'sync_audit_log', folded: (name: string): string => name }
const names = (body: string, schema = 'shop', ansiQuotes = false): boolean =>
  namesTable(wordsOf(body, ansiQuotes), schema, LOG)

test('a body names the log quoted, bare or qualified, not in texts or longer names', () => {
  for (const body of [
    'INSERT INTO sync_audit_log (a) VALUES (1)',
    'INSERT INTO `sync_audit_log` VALUES (1)',
    'INSERT INTO shop . `sync_audit_log` VALUES (1)',
    "IF NEW.a = 'it''s' THEN INSERT INTO sync_audit_log VALUES (1); END IF",
    'INSERT INTO /*!50000 sync_audit_log */ VALUES (1)',
    'BEGIN DECLARE n INT; SELECT COUNT(*) INTO n FROM sync_audit_log; END',
  ])
    assert.ok(names(body), body)
  for (const body of [
    "INSERT INTO t VALUES ('sync_audit_log')",
    'INSERT INTO sync_audit_log_b VALUES (1)',
    'INSERT INTO my_sync_audit_log VALUES (1)',
    'INSERT INTO other.sync_audit_log VALUES (1)',
    'INSERT INTO t VALUES (1) -- sync_audit_log',
    'INSERT INTO t VALUES (1) /* sync_audit_log */',
    'SET @sync_audit_log = 1',
    'INSERT INTO t VALUES ("sync_audit_log")',
  ])
    assert.ok(!names(body), body)
  assert.ok(names('INSERT INTO "sync_audit_log" VALUES (1)', 'shop', true))
  assert.ok(names('INSERT INTO shop.sync_audit_log VALUES (1)', 'elsewhere'))
  assert.ok(!names('INSERT INTO sync_audit_log VALUES (1)', 'elsewhere'))
})

test('a trigger that does more than one INSERT is not one of ours', () => {
  const only = (body: string): boolean => isOnlyInsert(wordsOf(body, false))
  const insert = 'INSERT INTO `sync_audit_log` (a) VALUES (IF(NEW.a IS NULL, 0, 1))'
  for (const body of [
    insert,
    `${insert};`,
    `BEGIN ${insert}; END`,
    `IF @mylab_sync_bypass IS NULL THEN ${insert}; END IF`,
  ])
    assert.ok(only(body), body)
  for (const body of [
    `BEGIN ${insert}; SET NEW.a = 1; END`,
    `BEGIN SET NEW.a = 1; ${insert}; END`,
    `IF NEW.a = 1 THEN ${insert}; END IF`,
    'DELETE FROM sync_audit_log',
  ])
    assert.ok(!only(body), body)
})
