import { COLUMNS, type Column } from './columns.js'
import { find, make, setText, toggle } from './dom.js'
import type { TableView } from './shape.js'

export type Act = (action: string, table: string) => Promise<void>

/** The states in which an action applies; its button is hidden in all others. */
const OFFERED: Readonly<Record<string, (table: TableView) => boolean>> = {
  pause: ({ state }) => state === 'live',
  resume: ({ state }) => state === 'paused',
  retry: ({ quarantined }) => quarantined > 0,
}

/** The list of tables. Rows are created once and updated, so that focus, selection and scroll position are kept. */
export class TableList {
  readonly #rows = new Map<string, Row>()
  readonly #body = find('#rows', HTMLElement)
  readonly #filter = find('#filter', HTMLInputElement)
  readonly #state = find('#state', HTMLSelectElement)
  readonly #heads: readonly HTMLElement[]
  readonly #act: Act
  #actions: readonly string[] = []
  #tables: readonly TableView[] = []
  #sort: { column: Column | null; down: boolean } = { column: null, down: false }

  constructor(act: Act) {
    this.#act = act
    this.#heads = COLUMNS.map((column) => this.#head(column))
    find('#head', HTMLElement).append(...this.#heads)
    this.#filter.addEventListener('input', () => this.#show())
    this.#state.addEventListener('change', () => this.#show())
    document.addEventListener('keydown', (event) => {
      const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey) return
      event.preventDefault()
      this.#filter.focus()
    })
  }

  /** Sets the actions that the server offers; must be called before the first `update`. */
  offer(actions: readonly string[]): void {
    this.#actions = actions
    if (actions.length === 0) return
    const head = make('th', { role: 'columnheader', scope: 'col' }, make('span', { class: 'hidden' }, 'Actions'))
    find('#head', HTMLElement).append(head)
  }

  update(tables: readonly TableView[]): void {
    this.#tables = tables
    const names = new Set(tables.map((table) => table.table))
    for (const [name, row] of this.#rows)
      if (!names.has(name)) {
        row.element.remove()
        this.#rows.delete(name)
      }
    for (const table of tables) {
      const row = this.#rows.get(table.table) ?? new Row(table.table, this.#actions, this.#act)
      this.#rows.set(table.table, row)
      row.update(table)
    }
    this.#updateStates()
    this.#show()
  }

  /** Scrolls to one table, replacing the current filter. */
  lead(table: string): void {
    this.#filter.value = table
    this.#state.value = ''
    this.#show()
    this.#filter.scrollIntoView({ block: 'center' })
    this.#filter.focus({ preventScroll: true })
  }

  #head(column: Column): HTMLElement {
    const button = make('button', { type: 'button' }, column.title)
    button.addEventListener('click', () => {
      const again = this.#sort.column === column
      this.#sort = { column, down: again ? !this.#sort.down : column.numeric }
      this.#show()
    })
    const numeric = column.numeric ? { class: 'number' } : {}
    return make('th', { role: 'columnheader', scope: 'col', ...numeric }, button)
  }

  #updateStates(): void {
    const present = [...new Set(this.#tables.map((table) => table.state))].sort()
    const offered = [...this.#state.options].slice(1).map((option) => option.value)
    if (present.join() === offered.join()) return
    const chosen = this.#state.value
    this.#state.replaceChildren(
      make('option', { value: '' }, 'all'),
      ...present.map((state) => make('option', { value: state }, state)),
    )
    this.#state.value = present.includes(chosen) ? chosen : ''
  }

  #show(): void {
    const text = this.#filter.value.trim().toLowerCase()
    const state = this.#state.value
    const shown = this.#sorted().filter(
      (table) => table.table.toLowerCase().includes(text) && (state === '' || table.state === state),
    )
    this.#place(shown)
    const all = this.#tables.length
    setText(find('#shown', HTMLElement), shown.length === all ? String(all) : `${shown.length} of ${all}`)
    toggle(find('#empty', HTMLElement), 'hidden', shown.length > 0 || all === 0)
    for (const [at, head] of this.#heads.entries()) {
      const sorted = COLUMNS[at] === this.#sort.column
      head.setAttribute('aria-sort', sorted ? (this.#sort.down ? 'descending' : 'ascending') : 'none')
    }
  }

  /** Moves only rows whose position changed: moving a row drops its focus. */
  #place(shown: readonly TableView[]): void {
    const wanted = shown.flatMap((table) => this.#rows.get(table.table)?.element ?? [])
    const keep = new Set<Element>(wanted)
    for (const element of Array.from(this.#body.children)) if (!keep.has(element)) element.remove()
    for (const [at, element] of wanted.entries())
      if (this.#body.children[at] !== element) this.#body.insertBefore(element, this.#body.children[at] ?? null)
  }

  #sorted(): readonly TableView[] {
    const { column, down } = this.#sort
    if (column === null) return this.#tables
    const sign = down ? -1 : 1
    return [...this.#tables].sort((a, b) => sign * compare(column.sortBy(a), column.sortBy(b)))
  }
}

function compare(a: number | string, b: number | string): number {
  return typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b))
}

class Row {
  readonly element = make('tr', { role: 'row' })
  readonly #cells: readonly HTMLElement[]
  #said = ''
  readonly #buttons: readonly { action: string; button: HTMLButtonElement }[]

  constructor(table: string, actions: readonly string[], act: Act) {
    this.#cells = COLUMNS.map((column, at) =>
      at === 0
        ? make('th', { role: 'rowheader', scope: 'row' })
        : make('td', { role: 'cell', 'data-label': column.title, ...(column.numeric ? { class: 'number' } : {}) }),
    )
    this.#buttons = actions.map((action) => ({ action, button: buttonOf(action, table, act) }))
    this.element.append(...this.#cells)
    if (actions.length > 0)
      this.element.append(
        make(
          'td',
          { role: 'cell', class: 'act' },
          make('div', { class: 'acts' }, ...this.#buttons.map((each) => each.button)),
        ),
      )
  }

  /** Skips unchanged tables: of hundreds, few change between two polls. */
  update(table: TableView): void {
    const said = JSON.stringify(table)
    if (said === this.#said) return
    this.#said = said
    for (const [at, column] of COLUMNS.entries()) {
      const cell = this.#cells[at]
      if (cell) column.fill(cell, table)
    }
    for (const { action, button } of this.#buttons) toggle(button, 'hidden', !(OFFERED[action]?.(table) ?? false))
  }
}

function buttonOf(action: string, table: string, act: Act): HTMLButtonElement {
  const button = make('button', { type: 'button', 'aria-label': `${action} ${table}` }, action)
  button.addEventListener('click', () => {
    button.disabled = true
    void act(action, table).finally(() => (button.disabled = false))
  })
  return button
}
