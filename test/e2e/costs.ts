import type { CDPSession, Page, Response } from 'playwright-core'

export interface UpdateCosts {
  readonly updates: number
  /** On the line, head and body, each. */
  readonly bytes: number
  readonly jsonBytes: number
  /** Of the page's own thread, each: program, styles and layout together. */
  readonly busyMs: number
}

/** From the first request until the page shows this many tables. */
export async function loadMs(page: Page, url: string, tables: number): Promise<number> {
  await page.goto(url)
  await page
    .locator('#rows tr')
    .nth(tables - 1)
    .waitFor({ state: 'attached' })
  return Math.round(Number(await page.evaluate('performance.now()')))
}

/** The cost of live updates while the page is idle. */
export async function updateCosts(page: Page, updates: number): Promise<UpdateCosts> {
  const session = await page.context().newCDPSession(page)
  await session.send('Performance.enable')
  const answer = (response: Response): boolean => response.url().endsWith('/api/status')
  // what the page's first rows cost is not an update's
  await page.waitForResponse(answer)
  const before = await busySeconds(session)
  let bytes = 0
  let jsonBytes = 0
  for (let update = 0; update < updates; update++) {
    const response = await page.waitForResponse(answer)
    jsonBytes += (await response.body()).length
    const { responseHeadersSize, responseBodySize } = await response.request().sizes()
    bytes += responseHeadersSize + responseBodySize
  }
  const busy = (await busySeconds(session)) - before
  await session.detach()
  const each = (sum: number): number => Math.round(sum / updates)
  return { updates, bytes: each(bytes), jsonBytes: each(jsonBytes), busyMs: each(busy * 1000) }
}

async function busySeconds(session: CDPSession): Promise<number> {
  const { metrics } = await session.send('Performance.getMetrics')
  return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0
}
