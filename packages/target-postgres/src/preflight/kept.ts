import { lookAt, tableHindrances } from '../rows/hindrances.js'
import { type Check, finding } from './check.js'

/** Reports objects that may keep the target's tables, carried or not, from storing rows as given. */
export const keptRows: Check = async ({ database, tables }) => {
  const { schema } = database.settings
  const names = tables.map(({ name }) => name)
  const looked = await database.transaction((session) => lookAt(session, schema, names))
  // `standingTables` reports relations that are not tables.
  const standing = tables.filter(({ name }) => !looked.get(name)?.found.some(({ kind }) => kind === 'relation'))
  return tableHindrances(schema, standing, looked).map(({ table, broken, triggers }) =>
    broken === null
      ? finding(
          'warning',
          'target-triggers',
          `table ${table} has enabled triggers in the target: ${triggers.join(', ')}; rows are compared after they have fired, and the table becomes broken if one of them changes, drops or rejects a row, or writes into a carried table`,
          `ALTER TABLE .. DISABLE TRIGGER .. where they are not needed; a first copy into such a table wants mylab-sync initial --take-over`,
        )
      : finding('error', 'target-rows-not-kept', broken.message, broken.remedy ?? 'see the message'),
  )
}
