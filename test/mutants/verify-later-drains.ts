import type { Mutant } from '../support/mutants.js'

/** Verification takes the target for what its own drain left, though drains of other processes may have come after it. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'engine/verify/moment.js',
      find: 'last: sides.last',
      replace: 'last: sides.report.drain',
    },
  ],
}
