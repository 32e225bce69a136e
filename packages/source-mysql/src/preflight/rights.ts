import { ownTableNames } from '../settings.js'
import { type Check, type Facts, finding, isOn, someOf } from './check.js'

type Right = 'SELECT' | 'TRIGGER' | 'INSERT' | 'UPDATE' | 'DELETE' | 'CREATE'

const WHY: Readonly<Record<Right, string>> = {
  SELECT: 'rows cannot be read',
  TRIGGER: 'changes cannot be captured, and triggers that exist fail every write of the application',
  INSERT: 'triggers cannot write the change log, and fail every write of the application',
  UPDATE: 'applied changes cannot be acknowledged',
  DELETE: 'the change log cannot be cleaned up',
  CREATE: 'the change log cannot be created',
}

/** The tables on which each right is needed: carried ones, or the product's own. */
function needed(facts: Facts): readonly (readonly [right: Right, tables: readonly string[]])[] {
  const carried = facts.tables.map((table) => table.name)
  const own = ownTableNames(facts.settings)
  return [
    ['SELECT', [...carried, ...own]],
    ['TRIGGER', [...carried, facts.settings.auditTable]],
    ['INSERT', own],
    ['UPDATE', own],
    ['DELETE', own],
    ['CREATE', own],
  ]
}

export const rights: Check = (facts) => {
  return needed(facts).flatMap(([right, tables]) => {
    // Triggers need these four rights, and run without the session's roles.
    const grants = BY_TRIGGERS.has(right) ? facts.definerGrants : facts.grants
    if (grants.on(right, null)) return []
    const lacking = tables.filter((table) => !grants.on(right, table))
    if (lacking.length === 0 && tables.length > 0) return []
    const where = lacking.length === tables.length ? `database ${facts.settings.database}` : someOf(lacking)
    return [
      finding(
        'error',
        'source-right-missing',
        `${facts.account} lacks ${right} on ${where}${byRole(facts, right, lacking)}: ${WHY[right]}`,
        `GRANT ${right} ON ${facts.grants.place} TO ${facts.account};`,
      ),
    ]
  })
}

const BY_TRIGGERS: ReadonlySet<Right> = new Set(['SELECT', 'TRIGGER', 'INSERT', 'UPDATE'])

function byRole({ grants }: Facts, right: Right, lacking: readonly string[]): string {
  const hasRole = grants.on(right, null) || (lacking.length > 0 && lacking.every((table) => grants.on(right, table)))
  return hasRole ? ' except by a role, which its triggers run without' : ''
}

export const processRight: Check = (facts) =>
  facts.grants.global('PROCESS')
    ? []
    : [
        finding(
          'warning',
          'source-process-missing',
          `${facts.account} lacks PROCESS, so the storage numbers of tables are hidden: TRUNCATE, partition operations and imported tablespaces ` +
            'go unnoticed until a comparison finds the rows, instead of within seconds, and foreign keys are read more slowly',
          `GRANT PROCESS ON *.* TO ${facts.account};`,
        ),
      ]

/** With a binary log, only trusted accounts may create triggers (error 1419). */
export const triggerCreators: Check = (facts) => {
  if (!isOn(facts, 'log_bin') || isOn(facts, 'log_bin_trust_function_creators') || facts.grants.global('SUPER'))
    return []
  return [
    finding(
      'error',
      'source-trigger-creators',
      `the server writes a binary log, and without SUPER or log_bin_trust_function_creators=1 ${facts.account} may not create triggers (error 1419)`,
      "SET GLOBAL log_bin_trust_function_creators = 1; and the same setting in the server's configuration file, for the next start",
    ),
  ]
}
