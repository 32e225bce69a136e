import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import axe from 'axe-core'
import { type Browser, chromium, type Page } from 'playwright-core'

const PROGRAMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
/** Nothing of its own goes out: the only requests that are seen are the page's. */
const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const LIGHTS = ['light', 'dark'] as const
const SIZES = [
  ['wide', 1600],
  ['narrow', 400],
] as const
const HEIGHT = 900

export const say = (line: string): void => void process.stdout.write(`${line}\n`)

export async function launch(): Promise<Browser> {
  const executablePath = PROGRAMS.find((path) => existsSync(path))
  if (executablePath === undefined) throw new Error('no Chromium found: apt-get install chromium')
  return chromium.launch({ executablePath, args: QUIET })
}

/** Collects requests to other hosts, errors of the program and everything that the policy blocked in `faults`. */
export async function open(browser: Browser, url: string, faults: string[], password?: string): Promise<Page> {
  const context = await browser.newContext({
    ...(password === undefined ? {} : { httpCredentials: { username: 'admin', password } }),
    viewport: { width: SIZES[0][1], height: HEIGHT },
  })
  const page = await context.newPage()
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) faults.push(`asked for ${request.url()}`)
  })
  await page.goto(url)
  return page
}

/** Takes the pictures of what a page shows now. */
export class Camera {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async shoot(page: Page, name: string): Promise<void> {
    await page.screenshot({ path: join(this.#folder, `${name}.png`), animations: 'disabled' })
  }

  /** In both lights and both sizes; `look` is called before each. */
  async everywhere(page: Page, name: string, look: (page: Page, where: string) => Promise<void>): Promise<void> {
    for (const colorScheme of LIGHTS)
      for (const [size, width] of SIZES) {
        await page.emulateMedia({ colorScheme })
        await page.setViewportSize({ width, height: HEIGHT })
        await look(page, `${name} ${colorScheme} ${size}`)
        await this.shoot(page, `${name}-${colorScheme}-${size}`)
      }
    await page.setViewportSize({ width: SIZES[0][1], height: HEIGHT })
  }
}

export async function assertFits(page: Page, what: string): Promise<void> {
  const fits = await page.evaluate('document.documentElement.scrollWidth <= innerWidth')
  assert.equal(fits, true, `${what}: no scrolling sideways`)
}

/** By axe: names, roles, contrasts. Its program goes in past the page's policy, as a debugger's does. */
export async function assertAccessible(page: Page, what: string): Promise<void> {
  await page.evaluate(axe.source)
  const { found, rules } = (await page.evaluate(`axe.run(document).then(({ violations, passes }) => ({
    found: violations.map(({ id, nodes }) => id + ': ' + nodes.length + ' such as ' + nodes[0].html),
    rules: passes.map(({ id }) => id) }))`)) as { found: string[]; rules: string[] }
  assert.deepEqual(found, [], what)
  assert.ok(rules.includes('color-contrast') && rules.includes('th-has-data-cells'), `${what}: ${rules.join()}`)
}
