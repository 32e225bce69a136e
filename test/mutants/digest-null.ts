import type { Mutant } from '../support/mutants.js'

/** NULL is digested as the empty text is. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'source-mysql/snapshot/digest.js',
      find: "COALESCE(${digestSql(column)}, '')",
      replace: "COALESCE(${digestSql(column)}, '0:')",
    },
    {
      file: 'target-postgres/rows/digest.js',
      find: "coalesce(${digestSql(column)}, '')",
      replace: "coalesce(${digestSql(column)}, '0:')",
    },
  ],
}
