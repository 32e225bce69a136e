import type { Mutant } from '../support/mutants.js'

/** A column is left out of the digests. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'engine/verify/range-comparison.js',
      find: 'mapping.columns.filter((column) => column.digest !== null)',
      replace: "mapping.columns.filter((column) => column.digest !== null && column.name !== 'z')",
    },
  ],
}
