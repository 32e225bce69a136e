import type { Mutant } from '../support/mutants.js'

/** A parked key has one row, whichever drains park it. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'engine/drain/sort-entries.js',
      find: 'parked.push({ table, key, drain: outcome.number, start });',
      replace: 'parked.push({ table, key, drain: 0, start });',
    },
  ],
}
