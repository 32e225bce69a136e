import { createHash } from 'node:crypto'
import type { TriggerTarget } from '@mylab-sync/core'
import type { SourceSettings } from '../settings.js'
import * as sql from '../sql.js'
import { keySql } from './token.js'

export const TRIGGER_EVENTS = ['INSERT', 'UPDATE', 'DELETE'] as const
export type TriggerEvent = (typeof TRIGGER_EVENTS)[number]

/** The expected definition of a trigger. */
export interface TriggerText {
  readonly name: string
  /** For replacing a trigger without a gap on a server without CREATE OR REPLACE. */
  readonly otherName: string
  readonly table: string
  readonly event: TriggerEvent
  readonly body: string
}

/** A session that sets this variable logs no changes. */
export const BYPASS_VARIABLE = '@mylab_sync_bypass'

const SUFFIXES: Readonly<Record<TriggerEvent, string>> = { INSERT: 'ai', UPDATE: 'au', DELETE: 'ad' }
const OURS = /^mylab_(\w+_)?[0-9a-f]{12}_a[iud]2?$/
const INSTANCE_ALLOWED = /[^0-9A-Za-z]/g
const INSTANCE_LENGTH = 20

/** Whether it is a trigger of this product, of any instance. */
export function isOurTrigger(name: string): boolean {
  return OURS.test(name)
}

/** Whether it is a trigger of this instance. */
export function isTriggerOf(name: string, instance: string): boolean {
  const start = `mylab_${instancePart(instance)}`
  return name.startsWith(start) && /^[0-9a-f]{12}_a[iud]2?$/.test(name.slice(start.length))
}

/** The trigger's name: short, and valid whatever characters the table's name contains. */
export function triggerName(table: string, event: TriggerEvent, instance: string): string {
  const hash = createHash('sha256').update(table, 'utf8').digest('hex').slice(0, 12)
  return `mylab_${instancePart(instance)}${hash}_${SUFFIXES[event]}`
}

/** Names of two installations never collide: a name with replaced characters gets a hash. */
export function instancePart(instance: string): string {
  if (instance === 'default') return ''
  const plain = instance.replace(INSTANCE_ALLOWED, '').slice(0, INSTANCE_LENGTH)
  if (plain === instance) return `${plain}_`
  return `${plain}${createHash('sha256').update(instance, 'utf8').digest('hex').slice(0, 8)}_`
}

/** The three triggers of a table. */
export function triggersOf(target: TriggerTarget, settings: SourceSettings): TriggerText[] {
  return TRIGGER_EVENTS.map((event) => {
    const name = triggerName(target.table, event, settings.instance)
    return {
      name,
      otherName: `${name}2`,
      table: target.table,
      event,
      body: triggerBody(target, event, settings.auditTable),
    }
  })
}

/**
 * MariaDB's catalog resolves escapes in a trigger's literals. A literal that needs an escape would never be read back as
 * written, and its trigger would always count as altered.
 */
function literal(text: string): string {
  if (!/[\\\0\n\r]/.test(text)) return sql.text(text)
  return `CONVERT(X'${Buffer.from(text).toString('hex').toUpperCase()}' USING utf8mb4)`
}

/** The text after FOR EACH ROW. */
export function triggerBody(target: TriggerTarget, event: TriggerEvent, auditTable: string): string {
  const layout = sql.integer(target.key?.layout ?? 0)
  const start = `${literal(target.table)}, '${event}'`
  const log = sql.name(auditTable)
  const insert =
    target.key !== null && event === 'UPDATE'
      ? `INSERT INTO ${log} (table_name, operation, row_key, old_key, flags) VALUES (${start}, ${keySql(target.key, 'NEW.')}, ` +
        // Equal tokens are equal bytes: they are ASCII, of one letter case, without trailing blanks.
        `NULLIF(${keySql(target.key, 'OLD.')}, ${keySql(target.key, 'NEW.')}), ${layout})`
      : `INSERT INTO ${log} (table_name, operation, row_key, flags) VALUES (${start}, ${keySql(target.key, event === 'DELETE' ? 'OLD.' : 'NEW.')}, ${layout})`
  return `IF ${BYPASS_VARIABLE} IS NULL THEN ${insert}; END IF`
}

/** The CREATE statement, under one of the trigger's two names. */
export function createTrigger(trigger: TriggerText, name: string, replace: boolean): string {
  return `CREATE ${replace ? 'OR REPLACE ' : ''}DEFINER = CURRENT_USER TRIGGER ${sql.name(name)} AFTER ${trigger.event} ON ${sql.name(trigger.table)} FOR EACH ROW ${trigger.body}`
}
