import type { Mutant } from '../support/mutants.js'

/** Children without a parent in the target are not read again. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'engine/slice/orphans.js',
      find: 'let found = false;',
      replace: 'return false;\n    let found = false;',
    },
  ],
}
