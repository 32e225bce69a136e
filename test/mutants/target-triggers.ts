import type { Mutant } from '../support/mutants.js'

/** Nothing looks whether triggers of the target keep its tables from holding what they are given. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'target-postgres/rows/hindrances.js',
      find: 'return [...new Set(names.map(({ name }) => name))];',
      replace: 'return [];',
    },
  ],
}
