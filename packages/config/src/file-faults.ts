import type { z } from 'zod'

type Issue = z.core.$ZodIssue

/** One line a fault: where in the file, what was found, what is allowed. */
export function fileFaults(
  issues: readonly Issue[],
  content: unknown,
  knownKeys: (path: readonly string[]) => string[],
): string[] {
  return issues.map((issue) => {
    const path = issue.path.map(String)
    const place = path.join('.') || '(top)'
    if (issue.code === 'unrecognized_keys')
      return `${place}: found ${issue.keys.join(', ')}, expected ${knownKeys(path).join(', ')}`
    return `${place}: found ${shown(path, content, isMap(issue))}, expected ${allowed(issue)}`
  })
}

const BY_CODE: { readonly [C in Issue['code']]?: (issue: Extract<Issue, { code: C }>) => string } = {
  invalid_type: ({ expected }) => (expected === 'object' ? 'a map' : `a ${expected}`),
  invalid_value: ({ values }) => values.map(String).join(' or '),
  too_big: ({ maximum }) => `at most ${maximum}`,
  too_small: ({ minimum, inclusive }) => `${inclusive === false ? 'more than' : 'at least'} ${minimum}`,
  invalid_format: () => 'letters, digits, _ and -, at most 32',
  invalid_union: () => 'a list of patterns, or a map with columns',
}

function allowed(issue: Issue): string {
  const told = BY_CODE[issue.code] as ((issue: Issue) => string) | undefined
  return told?.(issue) ?? issue.message
}

const SECRET = /^(password|url)$/

function isMap(issue: Issue): boolean {
  return issue.code === 'invalid_type' && issue.expected === 'object'
}

/** A secret is never quoted, whatever is wrong with it; nor is a text in the place of a map that may hold one. */
function shown(path: readonly string[], content: unknown, mapWanted: boolean): string {
  if (SECRET.test(path.at(-1) ?? '')) return '[secret]'
  let value = content
  for (const key of path) value = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined
  if (Array.isArray(value)) return 'a list'
  if (mapWanted && typeof value === 'string') return 'a text'
  return typeof value === 'object' && value !== null ? 'a map' : String(value)
}
