/**
 * node test/dist/e2e/main.js [folder] [400|demo]   The pages in a real Chromium (Debian's package `chromium`), with 400
 * tables and over the running demo; pictures go into the folder. Ends with 1 at the first thing that is not so.
 */
import { mkdirSync } from 'node:fs'
import { Camera, launch } from './browser.js'
import { lookAtManyTables } from './dashboard.js'
import { lookAtDemo } from './demo.js'

const [folder = '/tmp/mylab-sync-screens', only] = process.argv.slice(2)
mkdirSync(folder, { recursive: true })
const browser = await launch()
try {
  if (only !== 'demo') await lookAtManyTables(browser, new Camera(folder))
  if (only !== '400') await lookAtDemo(browser, new Camera(folder))
} finally {
  await browser.close()
}
