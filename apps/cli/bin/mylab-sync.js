#!/usr/bin/env node
import { statSync } from 'node:fs'

const madeAt = (file) => statSync(new URL(file, import.meta.url), { throwIfNoEntry: false })?.mtimeMs ?? -1
// A bundle older than the last build runs code that is no longer there.
const isBundled = madeAt('../bundle/main.js') > madeAt('../tsconfig.tsbuildinfo')
import(isBundled ? '../bundle/main.js' : '../dist/main.js').catch((error) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
  process.stderr.write('mylab-sync is not built yet. Run: npm run build\n')
  process.exitCode = 1
})
