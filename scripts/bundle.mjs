// node scripts/bundle.mjs   Joins the built command line and its libraries into apps/cli/bundle, which the command runs: a start
// reads a few files there instead of a thousand (docs/decisions/0021-one-bundle.md).
import { rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, relative } from 'node:path'
import { build } from 'esbuild'

const root = new URL('..', import.meta.url).pathname
const outdir = `${root}apps/cli/bundle`

/** Files beside a module keep their place; the bundle's own place is another. */
const ownPlaces = {
  name: 'own-places',
  setup({ onLoad }) {
    onLoad({ filter: /\/(?:packages|apps)\/[^/]+\/dist\/.*\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      const place = `new URL(${JSON.stringify(relative(outdir, path))}, import.meta.url).href`
      return { contents: text.replaceAll('import.meta.url', place), loader: 'js', resolveDir: dirname(path) }
    })
  },
}

rmSync(outdir, { recursive: true, force: true })
await build({
  entryPoints: [`${root}apps/cli/dist/main.js`],
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  keepNames: true,
  external: ['pg-native'],
  // Libraries in CommonJS require Node's own modules.
  banner: {
    js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);',
  },
  plugins: [ownPlaces],
  logLevel: 'warning',
})
