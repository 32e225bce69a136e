import { counted } from '@mylab-sync/core'
import type { Progress } from '@mylab-sync/engine'
import { visible } from '@mylab-sync/runtime'
import { MultiBar, type SingleBar } from 'cli-progress'
import { tell } from './output.js'

const LINE_MS = 2_000

export interface ShownProgress {
  readonly on: Progress
  stop(): void
}

/** Draws bars if stderr is a terminal; elsewhere prints a line per table every two seconds. */
export function showProgress(quiet: boolean): ShownProgress {
  if (quiet) return { on: () => {}, stop: () => {} }
  return process.stderr.isTTY ? bars() : lines()
}

function lines(): ShownProgress {
  const last = new Map<string, number>()
  const on: Progress = (event) => {
    if (event.kind === 'note') return tell(event.text)
    if (event.kind === 'state') return tell(`${event.table}: ${event.state}`)
    if (event.kind === 'triggers') {
      if (event.done === event.total) tell(`triggers: ${event.done}/${event.total}`)
      return undefined
    }
    const now = performance.now()
    if (now - (last.get(event.table) ?? 0) < LINE_MS) return undefined
    last.set(event.table, now)
    return tell(`${event.table}: ${counted(event.rows, 'row')} of ~${event.estimated}`)
  }
  return { on, stop: () => {} }
}

function bars(): ShownProgress {
  const all = new MultiBar({
    stream: process.stderr,
    format: '{name} {bar} {value}/~{total}',
    hideCursor: true,
    clearOnComplete: false,
  })
  const byName = new Map<string, SingleBar>()
  const update = (name: string, value: number, total: number): void => {
    const bar =
      byName.get(name) ?? all.create(Math.max(total, value, 1), 0, { name: visible(name).padEnd(24).slice(0, 24) })
    byName.set(name, bar)
    if (value > bar.getTotal()) bar.setTotal(value)
    bar.update(value)
  }
  const on: Progress = (event) => {
    if (event.kind === 'triggers') update('triggers', event.done, event.total)
    else if (event.kind === 'copy') update(event.table, event.rows, event.estimated)
    else if (event.kind === 'note') all.log(`${visible(event.text)}\n`)
  }
  return { on, stop: () => all.stop() }
}
