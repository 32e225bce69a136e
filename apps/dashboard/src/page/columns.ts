import { make, setText, toggle } from './dom.js'
import { count, duration, moment, percent, perSecond } from './format.js'
import type { TableView } from './shape.js'

/** One column: how to sort by it, and how to create and update its cell. */
export interface Column {
  readonly title: string
  readonly numeric: boolean
  readonly sortBy: (table: TableView) => number | string
  readonly fill: (cell: HTMLElement, table: TableView) => void
}

const KIND_OF_STATE: Readonly<Record<string, string>> = {
  live: 'right',
  recopied: 'right',
  discovered: 'working',
  capturing: 'working',
  copying: 'working',
  'catching-up': 'working',
  paused: 'warn',
  copied: 'warn',
  suspect: 'warn',
  broken: 'wrong',
  refused: 'wrong',
  gone: 'warn',
}

function number(
  title: string,
  value: (table: TableView) => number | null,
  show: (value: number | null) => string = (each) => (each === null ? '–' : count(each)),
): Column {
  return {
    title,
    numeric: true,
    sortBy: (table) => value(table) ?? -1,
    fill: (cell, table) => {
      setText(cell, show(value(table)))
      cell.classList.toggle('none', !value(table))
    },
  }
}

/** A number that should be 0. */
function fault(title: string, value: (table: TableView) => number): Column {
  const column = number(title, value)
  const fill = (cell: HTMLElement, table: TableView): void => {
    column.fill(cell, table)
    cell.classList.toggle('bad', value(table) > 0)
  }
  return { ...column, fill }
}

export const COLUMNS: readonly Column[] = [
  { title: 'Table', numeric: false, sortBy: (table) => table.table, fill: (cell, table) => setText(cell, table.table) },
  { title: 'State', numeric: false, sortBy: (table) => table.state, fill: fillState },
  { title: 'Copied', numeric: false, sortBy: (table) => table.copiedPercent, fill: fillCopied },
  number('Rows copied', (table) => table.rowsCopied),
  number('Rows/s', (table) => table.rowsPerSecond, perSecond),
  number('Lag', (table) => table.lagMs, duration),
  number('Pending', (table) => table.pending),
  number('Parked', (table) => table.parked),
  fault('Quarantined', (table) => table.quarantined),
  fault('Differing', (table) => table.rowsDifferent),
  {
    title: 'Verified',
    numeric: false,
    sortBy: (table) => table.verifiedAt ?? '',
    fill: (cell, { verifiedAt }) => {
      setText(cell, moment(verifiedAt))
      cell.classList.toggle('none', verifiedAt === null)
    },
  },
]

function fillState(cell: HTMLElement, { state }: TableView): void {
  const chip = cell.firstElementChild ?? cell.appendChild(make('span', { class: 'chip' }))
  setText(chip, state)
  const kind = KIND_OF_STATE[state] ?? 'warn'
  if (chip.getAttribute('data-kind') !== kind) chip.setAttribute('data-kind', kind)
}

function fillCopied(cell: HTMLElement, { copiedPercent, table, state }: TableView): void {
  if (cell.childElementCount === 0)
    cell.append(make('span', {}, make('progress', { max: '100', 'aria-label': `${table}: copied` }), make('span')))
  const [bar, text] = cell.firstElementChild?.children ?? []
  if (bar instanceof HTMLProgressElement && bar.value !== copiedPercent) bar.value = copiedPercent
  if (bar) toggle(bar, 'data-done', KIND_OF_STATE[state] === 'right')
  if (text) setText(text, percent(copiedPercent))
}
