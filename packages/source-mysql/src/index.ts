/** The source side: catalog, change log, triggers and consistent reads of a MySQL or MariaDB database. */
export {
  BYPASS_VARIABLE,
  createTrigger,
  triggerBody,
  type TriggerEvent,
  triggerName,
  type TriggerText,
  triggersOf,
} from './capture/trigger-text.js'
export { keySql, literalSql, type Prefix, tokenSql } from './capture/token.js'
export { createAuditTable, CREATE_INSTANCE_TABLE } from './ddl/own-tables.js'
export { selectKeyAfter, selectKeys, selectRange } from './snapshot/statements.js'
export { INSTANCE_TABLE, type SourceSettings } from './settings.js'
export { createSource } from './source.js'
