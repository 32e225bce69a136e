import type { Mutant } from '../support/mutants.js'

/** A catch-up slice removes keys that were parked after its snapshot was opened. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'engine/opening/catch-up.js',
      find: 'const parked = await target.parked.read(tables, catchUpKeys);',
      replace:
        'const early = __addDisposableResource(env_1, await context.source.openSnapshot(), true);\n        const parked = await target.parked.read(tables, catchUpKeys);',
    },
    {
      file: 'engine/opening/catch-up.js',
      find: 'const snapshot = __addDisposableResource(env_1, await context.source.openSnapshot(), true);',
      replace: 'const snapshot = early;',
    },
  ],
}
