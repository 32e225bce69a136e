import type { Mutant } from '../support/mutants.js'

/** A row that the snapshot lacks starts no closure. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'engine/slice/closure.js',
      find: 'return dirty.presence(table, key) === false;',
      replace: 'return false;',
    },
  ],
}
