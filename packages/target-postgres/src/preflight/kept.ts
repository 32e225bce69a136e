import { lookAt, tableHindrances } from '../rows/hindrances.js'
import { type Check, finding } from './check.js'

/** What stands on the target's tables and may keep them from holding what they are given, carried or not. */
export const keptRows: Check = async ({ database, tables }) => {
  const { schema } = database.settings
  const names = tables.map(({ name }) => name)
  const looked = await database.transaction((session) => lookAt(session, schema, names))
  // What is no table at all is told where names are looked at.
  const standing = tables.filter(({ name }) => !looked.get(name)?.found.some(({ kind }) => kind === 'relation'))
  return tableHindrances(schema, standing, looked).map(({ table, broken, triggers }) =>
    broken === null
      ? finding(
          'warning',
          'target-triggers',
          `table ${table} has enabled triggers in the target: ${triggers.join(', ')}; what they make of its rows is compared with what was given, and the table is broken where they change, drop or refuse a row, or write into a carried table`,
          `ALTER TABLE .. DISABLE TRIGGER .. where they are not needed; a first copy into such a table wants mylab-sync initial --take-over`,
        )
      : finding('error', 'target-rows-not-kept', broken.message, broken.remedy ?? 'see the message'),
  )
}
