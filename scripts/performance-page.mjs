// docs/performance.md and its plots, made from what `npm run bench` printed into docs/performance/*.jsonl.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const AXES = {
  rows: { title: 'First copy: rows of one narrow table', unit: 'rows' },
  width: { title: 'First copy: 100 MB in rows of several widths', unit: 'bytes a row' },
  tables: { title: 'Set-up and first copy: tables of 400 rows each', unit: 'tables' },
  roundTripMs: { title: 'First copy of a million rows: servers far away', unit: 'ms of round trip' },
  entries: { title: 'One drain of changes to one table', unit: 'changes' },
}
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [640, 320, 70, 20, 34, 48]

/** The page and each plot, by their paths below docs. */
export function performancePages(docs) {
  const measured = join(docs, 'performance')
  if (!existsSync(measured)) return []
  const points = readPoints(measured)
  const shown = Object.entries(AXES).filter(([axis]) => points.some((point) => point.axis === axis))
  const of = (axis) => points.filter((point) => point.axis === axis).toSorted((a, b) => a.at - b.at)
  const plots = shown.map(([axis, about]) => [`performance/${axis}.svg`, plot(about, of(axis))])
  const parts = shown.map(([axis, about]) => section(axis, about, of(axis)))
  return [['performance.md', HEAD + parts.join('\n')], ...plots]
}

const HEAD = `# Performance

<!-- Generated from docs/performance/*.jsonl by \`npm run docs\`. -->

Each figure stands beside a peer that does the same work on the same servers, by turns and in the same run; the seconds are
medians. A machine's speed changes from minute to minute, so compare the ratios: below 1 the product is faster. The product's
seconds include the start of its process, except in a drain, which is timed by its own account. Memory is the largest that a
process had resident.

Measure your own machine: \`npm run bench -- rows tables entries width roundTrip\` prints these lines and needs the clients
\`mariadb\` and \`psql\`, and \`pgloader\` for \`tables\`.

`

function readPoints(folder) {
  const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl'))
  return files.flatMap((name) =>
    readFileSync(join(folder, name), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line)),
  )
}

function section(axis, { title, unit }, points) {
  const rows = points.map(({ at, seconds, peerSeconds, ratio, residentMb }) => [
    at.toLocaleString('en'),
    seconds,
    peerSeconds ?? '',
    ratio ?? '',
    residentMb,
  ])
  const head = [unit, 'seconds', 'peer', 'ratio', 'MB']
  const [{ peer, machine }] = points
  const table = [head, head.map(() => '---:'), ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('')
  return `## ${title}\n\nPeer: ${peer}. ${machine}.\n\n${table}\n![${title}](performance/${axis}.svg)\n`
}

/** Both curves on logarithmic scales. An abscissa of 0 stands at the left edge. */
function plot({ title, unit }, points) {
  const xs = points.map(({ at }) => Math.max(at, 1))
  const all = points.flatMap(({ seconds, peerSeconds }) => [seconds, peerSeconds]).filter((value) => value !== null)
  const x = scale(Math.min(...xs), Math.max(...xs), LEFT, WIDTH - RIGHT)
  const decade = (value, round) => 10 ** round(Math.log10(value))
  const [low, high] = [decade(Math.min(...all), Math.floor), decade(Math.max(...all), Math.ceil)]
  const y = scale(low, high, HEIGHT - BOTTOM, TOP)
  const text = (at, up, anchor, words) => `<text x="${at}" y="${up}" text-anchor="${anchor}">${words}</text>`
  const grid = []
  for (let value = low; value <= high * 1.001; value *= 10)
    grid.push(
      `<path d="M${LEFT} ${y(value)}H${WIDTH - RIGHT}" stroke="#ddd"/>`,
      text(LEFT - 8, y(value) + 4, 'end', `${Number(value.toPrecision(1))} s`),
    )
  for (const { at } of points)
    grid.push(text(x(Math.max(at, 1)), HEIGHT - BOTTOM + 18, 'middle', at.toLocaleString('en')))
  const curve = (name, colour, value) => {
    const held = points.filter((point) => value(point) !== null)
    const places = held.map((point) => `${x(Math.max(point.at, 1))},${y(value(point))}`)
    const dots = places.map((place) => `<circle cx="${place.replace(',', '" cy="')}" r="3" fill="${colour}"/>`)
    const [lastX = '0', lastY = '0'] = (places.at(-1) ?? '').split(',')
    const label = `<text x="${lastX}" y="${Number(lastY) - 8}" text-anchor="end" fill="${colour}">${name}</text>`
    return `<polyline points="${places.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join('')}${label}`
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
${text(LEFT, 18, 'start', title)}
${text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, 'middle', unit)}
${grid.join('\n')}
${curve('peer', '#b45309', ({ peerSeconds }) => peerSeconds)}
${curve('mylab-sync', '#1d4ed8', ({ seconds }) => seconds)}
</svg>
`
}

function scale(from, to, start, end) {
  const span = Math.log(to / from) || 1
  return (value) => Math.round((start + (Math.log(value / from) / span) * (end - start)) * 10) / 10
}
