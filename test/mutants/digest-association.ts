import type { Mutant } from '../support/mutants.js'

/** Each value is digested by itself, so which row and which column it stands in makes no difference. */
export const mutant: Mutant = {
  changes: [
    {
      file: 'source-mysql/snapshot/digest.js',
      find: '`SUM(CAST(CONV(SUBSTR(d.h, ${from}, 15), 16, 10) AS UNSIGNED))`',
      replace:
        '`SUM(${table.columns.map((_, at) => `CAST(CONV(SUBSTR(d.h, ${64 * at + from}, 15), 16, 10) AS UNSIGNED)`).join(" + ")})`',
    },
    {
      file: 'source-mysql/snapshot/digest.js',
      find: "SHA2(CONCAT_WS('|', ${columns.join(', ')}), 256)",
      replace: "CONCAT(${columns.map((text) => `SHA2(${text}, 256)`).join(', ')})",
    },
    {
      file: 'target-postgres/rows/digest.js',
      find: "sum(('x' || substr(h, ${from}, 15))::bit(60)::bigint)",
      replace:
        "sum(${table.columns.map((_, at) => `('x' || substr(h, ${64 * at + from}, 15))::bit(60)::bigint`).join(' + ')})",
    },
    {
      file: 'target-postgres/rows/digest.js',
      find: "`encode(sha256(convert_to(${joined(texts)}, 'UTF8')), 'hex')`",
      replace: "texts.map((text) => `encode(sha256(convert_to(${text}, 'UTF8')), 'hex')`).join(' || ')",
    },
  ],
}
