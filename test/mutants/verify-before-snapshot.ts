import type { Mutant } from '../support/mutants.js'

/** Verification opens its snapshot of the source after the drain, so changes that no drain has carried yet are in it. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'engine/verify/moment.js',
      find: 'target = await context.target.beginSnapshot();',
      replace:
        'await source[Symbol.asyncDispose]();\n            source = await context.source.openSnapshot();\n            target = await context.target.beginSnapshot();',
    },
  ],
}
