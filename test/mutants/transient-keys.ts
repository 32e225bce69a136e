import type { Mutant } from '../support/mutants.js'

/** A key that the target lacks is reported without a look by a later drain, though foreign key actions move such keys. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'engine/verify/proven.js',
      find: '!model.graph.movesKeysOf(table)',
      replace: 'true',
    },
  ],
}
