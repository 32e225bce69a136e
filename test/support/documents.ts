import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { filesBelow, readText } from './deployment.js'
import { ROOT } from './run.js'

/** Paths of all pages, relative to the root. */
export const DOCUMENTS: readonly string[] = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...filesBelow('docs', '.md'),
].sort()

/** Lines of the blocks marked `sh`, without comments. */
export function shellLines(file: string): string[] {
  return [...readText(file).matchAll(/^ *```sh\n(.*?)^ *```$/gms)]
    .flatMap(([, block = '']) => block.split('\n'))
    .map((line) => line.replace(/(^|\s+)#.*$/, '').trim())
    .filter((line) => line !== '')
}

/** Every source file of the program in one text, except the page's own scripts. */
export function programText(): string {
  const folders = ['apps', 'packages'].flatMap((kind) =>
    readdirSync(join(ROOT, kind)).map((name) => join(kind, name, 'src')),
  )
  return folders
    .flatMap((folder) => filesBelow(folder, '.ts'))
    .filter((file) => !file.endsWith('.test.ts') && !file.includes('/page/'))
    .map((file) => readFileSync(join(ROOT, file), 'utf8'))
    .join('\n')
}

/** Codes in the first column of each table whose header begins with `head`. */
export function quoted(file: string, head: string): string[] {
  const found: string[] = []
  let inside = false
  for (const line of readText(file).split('\n')) {
    if (line.startsWith(`| ${head} |`)) inside = true
    else if (!line.startsWith('|')) inside = false
    else if (inside)
      found.push(...[...(line.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map(([, text = '']) => text))
  }
  return found
}
