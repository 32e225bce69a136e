import { find, make, setText, toggle } from './dom.js'
import { count, duration, moment, percent, perSecond, withMoments } from './format.js'
import type { NotCarriedView, Problem, SessionView, Tone, View } from './shape.js'
import { TableList } from './table-list.js'

const PAUSE_MS = 2_000
const NOT_CARRIED_AGAIN_MS = 10_000
/** Keeps the page readable when there are hundreds of problems. */
const PROBLEMS_SHOWN = 4

let session: SessionView = { token: '', actions: [], queues: false }
let allProblems = false
let last: View | null = null
const tables = new TableList(act)

async function answer<T>(path: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(path, { cache: 'no-store', ...init })
  const body = (await response.json().catch(() => ({}))) as T & { error?: string }
  if (!response.ok) throw new Error(body.error ?? `the dashboard answered ${response.status}`)
  return body
}

async function act(action: string, table: string): Promise<void> {
  try {
    const path = `/api/tables/${encodeURIComponent(table)}/${encodeURIComponent(action)}`
    const headers = { 'x-mylab-token': session.token }
    tell(`${table}: ${(await answer<{ done: string }>(path, { method: 'POST', headers })).done}.`)
  } catch (error) {
    tell(`${table}: ${action}: ${messageOf(error)}.`)
  }
  await refresh()
}

async function refresh(): Promise<void> {
  try {
    last = await answer<View>('/api/status')
    show(last)
    tellStale(null)
  } catch (error) {
    const since = last?.readAt ? `; the figures below are from ${moment(last.readAt)}` : ''
    tellStale(`No answer from the dashboard (${messageOf(error)})${since}. Retrying.`)
  }
}

/** The result of the last action stays visible until the next one. */
function tell(text: string): void {
  const said = find('#said', HTMLElement)
  setText(find('#said-text', HTMLElement), text)
  toggle(said, 'data-empty', text === '')
}
find('#said-close', HTMLElement).addEventListener('click', () => tell(''))

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown'
}

function tellStale(text: string | null): void {
  const notice = find('#stale', HTMLElement)
  setText(notice, text ?? '')
  toggle(notice, 'hidden', text === null)
}

function show(view: View): void {
  const { verdict } = view
  setText(find('#title', HTMLElement), view.title)
  const banner = find('#verdict', HTMLElement)
  if (banner.dataset['tone'] !== verdict.tone) banner.dataset['tone'] = verdict.tone
  setText(find('#sentence', HTMLElement), withMoments(verdict.sentence))
  const remedy = find('#remedy', HTMLElement)
  setText(remedy, `What to do: ${verdict.remedy ?? 'nothing'}`)
  toggle(remedy, 'hidden', verdict.remedy === null)
  document.title = `${{ right: '✓', working: '…', wrong: '!', unknown: '?' }[verdict.tone]} MyLab Database Sync`
  announce(verdict.tone, view.problems.length)
  showTiles(view)
  showProblems(view.problems)
  tables.update(view.tables)
}

const SPOKEN: Readonly<Record<Tone, string>> = {
  right: 'All tables are correct.',
  working: 'Not all tables are live yet.',
  wrong: 'Action is needed.',
  unknown: 'The state cannot be read.',
}

/** For screen readers: announces changes of tone only, since the sentence itself changes with every drain. */
function announce(tone: Tone, problems: number): void {
  const count = problems === 0 ? '' : ` ${problems} ${problems === 1 ? 'problem' : 'problems'}.`
  setText(find('#announced', HTMLElement), `${SPOKEN[tone]}${count}`)
}

function showTiles(view: View): void {
  const live = view.tables.filter(({ state }) => state === 'live' || state === 'recopied').length
  const copying = view.tables.filter(({ state }) => state === 'copying')
  const speed: [string, string] =
    copying.length > 0
      ? ['Rows copied/s', perSecond(view.rowsPerSecond)]
      : ['Changes/s', perSecond(view.changesPerSecond)]
  showTile('live', 'Live tables', `${live} of ${view.tables.length}`)
  showTile('copied', 'Copied', percent(copied(view)))
  showTile('speed', ...speed)
  showTile('lag', 'Lag', view.readAt === null ? '–' : duration(view.lagMs ?? 0))
  showTile('pending', 'Changes pending', count(view.totals.pending))
  showTile('quarantined', 'Rows quarantined', count(view.totals.failed), view.totals.failed > 0)
  showTile('verified', 'Contents verified', verified(view), view.verification.rowsDifferent > 0)
  showTile('read', 'Status read at', moment(view.readAt))
}

/** Percentage by rows over all tables; an open table counts as fully copied. */
function copied({ tables: all }: View): number {
  const rows = all.reduce((sum, table) => sum + Math.max(table.rows, 1), 0)
  const done = all.reduce((sum, table) => sum + (Math.max(table.rows, 1) * table.copiedPercent) / 100, 0)
  return rows === 0 ? 0 : Math.floor((done / rows) * 1000) / 10
}

/** The oldest moment that holds for all open tables, or how far the first pass is. */
function verified({ verification: { verifiedAt, tables: open, verified: done, rowsDifferent } }: View): string {
  if (rowsDifferent > 0) return `${count(rowsDifferent)} ${rowsDifferent === 1 ? 'row differs' : 'rows differ'}`
  if (verifiedAt !== null) return moment(verifiedAt)
  return done === 0 ? 'not yet' : `${done} of ${open} tables`
}

function showTile(name: string, title: string, value: string, bad = false): void {
  const tiles = find('#tiles', HTMLElement)
  const tile =
    tiles.querySelector(`[data-tile="${name}"]`) ??
    tiles.appendChild(make('div', { 'data-tile': name }, make('dt'), make('dd')))
  const [term, figure] = tile.children
  if (term) setText(term, title)
  if (figure) setText(figure, value)
  tile.classList.toggle('bad', bad)
}

function showProblems(problems: readonly Problem[]): void {
  toggle(find('#problems', HTMLElement), 'hidden', problems.length === 0)
  const list = find('#problem-list', HTMLElement)
  const shown = allProblems ? problems : problems.slice(0, PROBLEMS_SHOWN)
  const said = JSON.stringify(shown)
  if (list.dataset['said'] !== said) {
    list.dataset['said'] = said
    list.replaceChildren(...shown.map(problemItem))
  }
  const button = find('#all-problems', HTMLElement)
  toggle(button, 'hidden', problems.length <= PROBLEMS_SHOWN)
  setText(button, allProblems ? 'Show fewer' : `Show all ${problems.length}`)
}

function problemItem({ table, text, remedy }: Problem): HTMLElement {
  const what = make('p', {}, ...(table === null ? [] : [leadingTo(table), ': ']), text)
  return make('li', {}, what, ...(remedy === null ? [] : [make('p', { class: 'remedy' }, remedy)]))
}

function leadingTo(table: string): HTMLElement {
  const button = make('button', { type: 'button', title: 'Show this table below' }, table)
  button.addEventListener('click', () => tables.lead(table))
  return button
}

find('#all-problems', HTMLElement).addEventListener('click', () => {
  allProblems = !allProblems
  if (last) showProblems(last.problems)
})

/** Loaded once per page, since definitions rarely change; after a failure, which is shown, loaded again. */
async function showNotCarried(): Promise<void> {
  const panel = find('#not-carried', HTMLElement)
  const list = find('#not-carried-list', HTMLElement)
  try {
    const { groups } = await answer<NotCarriedView>('/api/not-carried')
    toggle(panel, 'hidden', groups.length === 0)
    list.replaceChildren(...groups.map(notCarriedItem))
  } catch (error) {
    toggle(panel, 'hidden', false)
    toggle(panel, 'open', true)
    const text = `Cannot be read now (${messageOf(error)}). Retrying.`
    list.replaceChildren(make('li', {}, make('p', {}, text)))
    setTimeout(() => void showNotCarried(), NOT_CARRIED_AGAIN_MS)
  }
}

function notCarriedItem({ text, reason, items }: NotCarriedView['groups'][number]): HTMLElement {
  const where = items.map((item) => `${item.table}: ${item.text}`).join('; ')
  const lines = [...(reason === null ? [] : [reason]), ...(where === '' ? [] : [where])]
  return make('li', {}, make('p', {}, text), ...lines.map((line) => make('p', { class: 'remedy' }, line)))
}

/** Polls with one request at a time, pauses while the page is hidden, and polls at once when it becomes visible. */
async function follow(): Promise<void> {
  let wake = (): void => {}
  document.addEventListener('visibilitychange', () => wake())
  for (;;) {
    if (!document.hidden) await refresh()
    await new Promise<void>((resolve) => {
      wake = resolve
      setTimeout(resolve, PAUSE_MS)
    })
  }
}

try {
  session = await answer<SessionView>('/api/session')
} catch (error) {
  tellStale(`No answer from the dashboard (${messageOf(error)}).`)
}
tables.offer(session.actions)
toggle(find('#queues', HTMLElement), 'hidden', !session.queues)
void showNotCarried()
await follow()
