import type { Mutant } from '../support/mutants.js'

/** Triggers write the token of a DOUBLE from its text, which MySQL's CONCAT cuts to 22 characters. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'source-mysql/capture/token.js',
      find: 'return `SUBSTR(HEX(POINT(${column} + 0e0, 0)), 19, 16)`;',
      replace: "return `SUBSTR(HEX(POINT(${prefix === '' ? column : `LEFT(${column}, 22)`} + 0e0, 0)), 19, 16)`;",
    },
  ],
}
