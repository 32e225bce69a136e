import type { Mutant } from '../support/mutants.js'

/** Keys are looked up in one form, whatever their types, and what that form does not find is not doubted. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'source-mysql/snapshot/predicates.js',
      find: "lookUps.filter(({ rule }) => rule.column.source.members === null && rule.rule !== 'digits');",
      replace: 'lookUps;',
    },
    {
      file: 'engine/rows/look-ups.js',
      find: 'if (!keys.every((key) => found[at]?.has(key)))',
      replace: 'if (false)',
    },
    {
      file: 'engine/rows/look-ups.js',
      find: 'if (keys.length > 0 && (await snapshot.rows.findAgain(table, keys)).length > 0)',
      replace: 'if (false)',
    },
  ],
}
