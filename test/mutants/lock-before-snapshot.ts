import type { Mutant } from '../support/mutants.js'

/** The snapshot is opened before the lock, so an older one may be written after a younger one. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'engine/drain/drain-pass.js',
      find: 'const target = __addDisposableResource(env_1, await beginDrain(context, request), true);',
      replace:
        'const early = __addDisposableResource(env_1, await context.source.openSnapshot(), true);\n        const target = __addDisposableResource(env_1, await beginDrain(context, request), true);',
    },
    {
      file: 'engine/drain/drain-pass.js',
      find: 'const snapshot = __addDisposableResource(env_1, await context.source.openSnapshot(), true);',
      replace: 'const snapshot = early;',
    },
  ],
}
