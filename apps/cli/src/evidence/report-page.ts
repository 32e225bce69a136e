import type { SealedReport } from '@mylab-sync/engine'
import { visible } from '@mylab-sync/runtime'

/** A page that shows a report to a person: one file, no script, nothing loaded, fit for print. */
export function reportPage(report: SealedReport): string {
  const { number, previous, totals, product, source, target } = report
  const title = report.handOver === undefined ? 'Verification report' : 'Cutover report'
  const facts: Cells[] = [
    ['Written', report.createdAt],
    ['Program', `${product.name} ${product.version}, instance ${report.instance}`],
    ['Source', `${source.database}, ${source.server}`],
    ['Target', `${target.database}, schema ${target.schema}, ${target.server}`],
    ['Tables asked for', report.patterns.length === 0 ? 'all' : report.patterns.join(', ')],
    ['Equal as of', report.consistentAsOf ?? 'nothing was compared'],
    ['Rows compared', totals.rows],
    ['Rows missing, surplus, different', `${totals.missing}, ${totals.surplus}, ${totals.different}`],
    ['Digests of tables', report.digests],
    ['SHA-256 of this report', report.digest],
    [
      'SHA-256 of the one before',
      previous === null ? 'none: it is the first' : `${previous.digest} (report ${previous.number})`,
    ],
  ]
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title} ${number}</title><style>${STYLE}</style></head><body>
<h1>${title} ${number}</h1>
<p class="${report.equal ? 'equal' : 'different'}">${html(report.sentence)}</p>
<table class="facts">${facts.map(([name, value]) => `<tr><th scope="row">${html(name)}</th><td>${html(value)}</td></tr>`).join('\n')}</table>
<p>This page shows what the JSON file beside it holds. The digest is that of the file: <code>mylab-sync verify --check-report</code> checks a chain of them.</p>
${handOverOf(report)}${tablesOf(report)}
${exceptionsOf(report)}
</body></html>
`
}

type Cells = readonly (string | number | null)[]

function handOverOf({ handOver }: SealedReport): string {
  if (handOver === undefined) return ''
  const { steps, stoppedMs, notes } = handOver
  return [
    section(
      'What was done',
      ['', ''],
      [
        ['Handed over, by the clock of the target', handOver.switchedAt],
        ['Writes were stopped for', stoppedMs === null ? null : `${(stoppedMs / 1000).toFixed(1)} s`],
        ['The source refuses captured writes', handOver.setReadOnly ? 'yes' : 'no'],
        ['Rows compared again after the writes had stopped', handOver.tailKeys],
        ['Last drain that was compared', handOver.lastDrain],
        ['UNIQUEs that hold at once', handOver.uniques],
        ['Foreign keys that hold at once', handOver.foreignKeys],
        ['Foreign keys with their actions', handOver.foreignKeyActions],
        ['Counters that were set', handOver.counters],
      ],
    ),
    section(
      'Steps',
      ['time', 'step'],
      steps.map(({ at, step }) => [at, step]),
    ),
    section(
      'What the source did and PostgreSQL does not',
      ['table', 'kind', 'what'],
      notes.map(({ table, code, cause }) => [table, code, cause]),
    ),
    '',
  ].join('\n')
}

function tablesOf({ tables }: SealedReport): string {
  return section(
    'Tables',
    [
      'table',
      'result',
      'rows',
      'missing',
      'surplus',
      'different',
      'quarantined',
      'verified from',
      'to',
      'drains',
      'digest',
    ],
    tables.map((table) => [
      table.table,
      table.reason === null ? table.result : `${table.result}: ${table.reason}`,
      table.rows,
      table.missing,
      table.surplus,
      table.different,
      table.quarantined,
      table.verifiedSince,
      table.verifiedAt,
      table.drains && `${table.drains.first} to ${table.drains.last}`,
      table.digest && `${table.digest.sums.join(' ')} (${table.digest.rows} rows)`,
    ]),
  )
}

function exceptionsOf({ exceptions }: SealedReport): string {
  const { quarantined, sanitised, suspendedConstraints, notCarried, otherObjects, notVerified } = exceptions
  return [
    section(
      'Rows that the target refused',
      ['table', 'rows'],
      quarantined.map(({ table, rows }) => [table, rows]),
    ),
    section(
      'Values altered to fit',
      ['table', 'column', 'rule', 'values'],
      sanitised.map(({ table, column, rule, values }) => [table, column, rule, values]),
    ),
    section(
      'Suspended constraints',
      ['table', 'kind', 'name'],
      suspendedConstraints.map(({ table, kind, name }) => [table, kind, name]),
    ),
    section(
      'Not carried',
      ['table', 'object', 'reason'],
      notCarried.map(({ table, object, reason }) => [table, object, reason]),
    ),
    section(
      'Other objects of the source',
      ['kind', 'count'],
      Object.entries(otherObjects).map(([kind, count]) => [kind, count ?? 'not visible to the account']),
    ),
    section(
      'Tables that were not verified',
      ['table', 'state', 'problem'],
      notVerified.map(({ table, state, problem }) => [table, state, problem]),
    ),
  ].join('\n')
}

function section(title: string, head: readonly string[], rows: readonly Cells[]): string {
  if (rows.length === 0) return `<h2>${html(title)}</h2><p>none</p>`
  const cell = (value: string | number | null): string =>
    typeof value === 'number' ? `<td class="number">${value}</td>` : `<td>${html(value ?? '')}</td>`
  const lines = rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`)
  return `<h2>${html(title)}</h2><table><thead><tr>${head.map((each) => `<th scope="col">${html(each)}</th>`).join('')}</tr></thead>
<tbody>${lines.join('\n')}</tbody></table>`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Names of the source may contain anything. */
function html(value: string | number | null | undefined): string {
  return visible(String(value ?? '')).replace(/[&<>"']/g, (sign) => ENTITIES[sign] ?? '')
}

const STYLE = `
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1a1a1a; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
p.equal, p.different { font-size: 1.1rem; padding: .6rem .8rem; border-left: .3rem solid #1b7f3b } p.different { border-color: #b3261e }
table { border-collapse: collapse; width: 100%; font-size: .9rem } th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid #ddd; overflow-wrap: anywhere }
td.number { text-align: right; font-variant-numeric: tabular-nums } table.facts th { width: 16rem; font-weight: 600 }
@media print { body { margin: 0; max-width: none; font-size: 10px } thead { display: table-header-group } tr { break-inside: avoid } }`
