import type { z } from 'zod'

type Issue = z.core.$ZodIssue

/** One line per fault: place in the file, what was found, what is allowed. */
export function fileFaults(
  issues: readonly Issue[],
  content: unknown,
  knownKeys: (path: readonly string[]) => string[],
): string[] {
  return issues.map((issue) => {
    const path = issue.path.map(String)
    const place = path.join('.') || '(top)'
    if (issue.code === 'unrecognized_keys')
      return `${place}: found ${shownKeys(issue.keys, path.length === 0 && isStrange(content, issue.keys))}, expected ${knownKeys(path).join(', ')}`
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
  const describe = BY_CODE[issue.code] as ((issue: Issue) => string) | undefined
  return describe?.(issue) ?? issue.message
}

/**
 * The pattern of configuration keys. Any other text may be a secret, such as a line of another file that ends in a
 * colon.
 */
const KEY = /^[a-z]+([A-Z][a-z]+)*$/

function shownKeys(keys: readonly string[], isNoConfig: boolean): string {
  const named = isNoConfig ? [] : keys.filter((key) => KEY.test(key) && key.length <= 24)
  const others = keys.length - named.length
  return [...named, ...(others === 0 ? [] : [`${others} that ${others === 1 ? 'is no key' : 'are no keys'}`])].join(
    ', ',
  )
}

/** Every top-level key is unknown, so it is another kind of file. */
function isStrange(content: unknown, unknown: readonly string[]): boolean {
  return (
    typeof content === 'object' &&
    content !== null &&
    Object.keys(content).length === unknown.length &&
    unknown.length > 1
  )
}

const SECRET = /^(password|url)$/

function isMap(issue: Issue): boolean {
  return issue.code === 'invalid_type' && issue.expected === 'object'
}

/** Never quotes a secret, nor text in place of a map that may contain one. */
function shown(path: readonly string[], content: unknown, mapWanted: boolean): string {
  if (SECRET.test(path.at(-1) ?? '')) return '[secret]'
  let value = content
  for (const key of path) value = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined
  if (Array.isArray(value)) return 'a list'
  if (mapWanted && typeof value === 'string') return 'a text'
  return typeof value === 'object' && value !== null ? 'a map' : shownScalar(value)
}

/** Does not quote addresses, which contain passwords, nor text longer than any valid value. */
function shownScalar(value: unknown): string {
  const text = String(value)
  return /[@:/?#=]/.test(text) || text.length > 40 ? 'a text' : text
}
