import type { Mutant } from '../support/mutants.js'

/** All entries up to the highest that was read are marked, those that committed late and unread too. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'engine/drain/drain-pass.js',
      find: 'unsynced.acknowledgement(feed.ids)',
      replace: 'unsynced.acknowledgement(upTo(feed.ids))',
    },
    {
      file: 'engine/drain/drain-pass.js',
      find: 'async function acknowledge(',
      replace:
        'function* upTo(ids) {\n    let highest = 0n;\n    for (const id of ids) if (id > highest) highest = id;\n    for (let id = 1n; id <= highest; id++) yield id;\n}\nasync function acknowledge(',
    },
  ],
}
