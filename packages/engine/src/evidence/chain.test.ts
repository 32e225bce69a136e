import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ReportRecord } from '@mylab-sync/core'
import { canonicalJson, checkChain, digestOf, reportText, type SealedReport } from './chain.js'
import { KIND } from './evidence.js'

/** A chain of reports, each with as much as the chain looks at. */
function chainOf(length: number): SealedReport[] {
  const reports: SealedReport[] = []
  for (let number = 1; number <= length; number++) {
    const before = reports.at(-1)
    const previous = before === undefined ? null : { number: before.number, digest: before.digest }
    reports.push(sealed({ kind: KIND, equal: number !== 2, number, previous } as SealedReport))
  }
  return reports
}

const sealed = (report: SealedReport): SealedReport => ({ ...report, digest: digestOf(report) })
const recordOf = (reports: readonly SealedReport[]): ReportRecord[] =>
  reports.map(({ number, digest }) => ({ number, digest, writtenAt: `day ${number}` }))

const three = chainOf(3)
const [ONE = '', TWO = '', THREE = ''] = three.map(reportText)

function faultsOf(texts: readonly string[], record: readonly ReportRecord[] | null = recordOf(three)): string {
  const { reports, faults } = checkChain(
    texts.map((text, at) => ({ file: `file ${at}`, text })),
    record,
  )
  return [...reports.flatMap((each) => each.faults), ...faults].join('; ')
}

test('canonical JSON sorts keys at every depth and keeps lists, texts and null', () => {
  const value = { b: [{ z: 1, a: null }, 'ü"\n'], a: { d: true, c: 'x' } }
  assert.equal(canonicalJson(value), '{"a":{"c":"x","d":true},"b":[{"a":null,"z":1},"ü\\"\\n"]}')
})

test('a whole chain has no fault, in any order, with the record and without it', () => {
  assert.equal(faultsOf([THREE, ONE, TWO]), '')
  assert.equal(faultsOf([THREE, ONE, TWO], null), '')
})

test('a missing report is named, the last one by the record alone', () => {
  assert.equal(faultsOf([ONE, THREE]), 'report 2, written at day 2, is not among the files')
  assert.equal(faultsOf([ONE, THREE], null), 'report 2 is not among the files')
  assert.equal(faultsOf([ONE, TWO]), 'report 3, written at day 3, is not among the files')
  assert.equal(faultsOf([ONE, TWO], null), '')
})

test('an altered report is named, even if its digest or the whole chain is made anew', () => {
  const altered = TWO.replace('"equal": false', '"equal": true')
  assert.match(faultsOf([ONE, altered, THREE]), /^altered: its contents do not have the digest/)
  const twice = TWO.replace('"equal": false', '"equal": true,\n  "equal": false')
  assert.match(faultsOf([ONE, twice, THREE]), /^altered: its text is not as it was written/)
  const [first, second, third] = three as [SealedReport, SealedReport, SealedReport]
  const forged = sealed({ ...second, equal: true })
  assert.match(faultsOf([ONE, reportText(forged), THREE]), /^another report is recorded under its number/)
  assert.match(
    faultsOf([ONE, reportText(forged), THREE], null),
    /^it names another report 2 than the one that is there/,
  )
  const anew = sealed({ ...third, previous: { number: 2, digest: forged.digest } })
  assert.equal(faultsOf([reportText(first), reportText(forged), reportText(anew)], null), '')
  assert.match(
    faultsOf([reportText(first), reportText(forged), reportText(anew)]),
    /^another report .*; another report /,
  )
})

test('foreign, doubled, moved and unrecorded files are named', () => {
  assert.match(faultsOf([ONE, TWO, THREE, '{"kind": "bill"}']), /^it is not a report/)
  assert.match(faultsOf([ONE.slice(9), TWO, THREE]), /^it is not JSON; report 1,/)
  assert.match(faultsOf([ONE, TWO, TWO, THREE]), /^more than one file has its number/)
  assert.match(
    faultsOf([ONE, TWO, reportText(sealed({ ...three[2], previous: null } as SealedReport))]),
    /does not name report 2/,
  )
  assert.match(
    faultsOf([ONE, TWO, THREE], recordOf(three.slice(0, 2))),
    /^it is not recorded in the target; report 3 is missing in the record/,
  )
  assert.match(
    faultsOf(
      [ONE, TWO, THREE],
      recordOf(three).filter(({ number }) => number !== 2),
    ),
    /report 2 is missing in the record/,
  )
})
