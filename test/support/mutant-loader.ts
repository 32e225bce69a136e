import { readFile } from 'node:fs/promises'
import type { LoadHook, ResolveHook } from 'node:module'
import { type Mutant, mutate } from './mutants.js'

/** Hooks of Node's loader: a module that was imported with `?mutant=RULE` hands that on to all of ours that it imports. */
const ROOT = new URL('../../../', import.meta.url).href

function mutantOf(url: string | undefined): string | null {
  return url === undefined || !URL.canParse(url) ? null : new URL(url).searchParams.get('mutant')
}

export const resolve: ResolveHook = async (specifier, context, next) => {
  const resolved = await next(specifier, context)
  const rule = mutantOf(context.parentURL)
  const isOurs = resolved.url.startsWith(ROOT) && !resolved.url.includes('/node_modules/')
  return rule === null || !isOurs || mutantOf(resolved.url) !== null
    ? resolved
    : { ...resolved, url: `${resolved.url}?mutant=${rule}` }
}

export const load: LoadHook = async (url, context, next) => {
  const loaded = await next(url, context)
  const rule = mutantOf(url)
  const [, name, file] = /^packages\/([^/]+)\/dist\/([^?]+)/.exec(url.slice(ROOT.length)) ?? []
  if (rule === null || name === undefined || file === undefined) return loaded
  const { mutant } = (await import(`../mutants/${rule}.js`)) as { mutant: Mutant }
  return { ...loaded, source: mutate(mutant, `${name}/${file}`, await readFile(new URL(url), 'utf8')) }
}
