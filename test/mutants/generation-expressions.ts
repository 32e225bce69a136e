import type { Mutant } from '../support/mutants.js'

/** A table's fingerprint covers its storage and its columns, but neither their expressions nor the second of its last ALTER. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'source-mysql/catalog/columns.js',
      find: 'at !== AT.comment && ',
      replace: 'at !== AT.comment && at !== AT.generation && ',
    },
    {
      file: 'source-mysql/snapshot/definitions.js',
      find: '(isExact ? base : `${base}.${time}`)',
      replace: 'base',
    },
  ],
}
