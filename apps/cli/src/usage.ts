import { type Command, COMMON, UsageFault } from './definition.js'
import { tell } from './output.js'

type Commands = readonly Command[]

/**
 * Replaces yargs' English sentences by a code and the word at fault. Texts with a count have two forms there; yargs appends
 * values that a text has no placeholder for.
 */
export const FAULT_TEXTS = {
  'Unknown argument: %s': { one: 'unknown %s', other: 'unknown %s' },
  'Not enough arguments following: %s': 'no-value %s',
  'Not enough non-option arguments: got %s, need at least %s': { one: 'missing', other: 'missing' },
  'Invalid values:': 'invalid',
  'Argument: %s, Given: %s, Choices: %s': '%s %s',
} as const

function commandOf(words: readonly string[], commands: Commands): Command | undefined {
  return commands.find(({ name }) => words.includes(name))
}

/** Rejects `--flag=maybe`, which yargs would read as not given. */
export function checkFlags(words: readonly string[], commands: Commands): void {
  const options = { ...COMMON, ...commandOf(words, commands)?.options }
  for (const [name, { type }] of Object.entries(options)) {
    const value = words.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3)
    if (type === 'boolean' && value !== undefined && value !== 'true' && value !== 'false')
      throw new UsageFault(`--${name}: found ${value}, expected no value`)
  }
}

/** Prints place and fault on one line, the command to type on the next. */
export function explainUsage(words: readonly string[], commands: Commands, message: string): void {
  const command = commandOf(words, commands)
  if (command) {
    tell(`mylab-sync: ${command.name}: ${explanation(words, command, message)}`)
    tell(`  try: mylab-sync ${command.name} --help`)
    return
  }
  const named = words.find((word) => !word.startsWith('-'))
  const names = commands.map(({ name }) => name)
  const near = named === undefined ? null : nearest(named.replace(/^sync:/, ''), names)
  const what = named === undefined ? 'no command given' : `no command ${named}`
  tell(`mylab-sync: ${what}${near === null ? '' : `; did you mean ${near}?`}`)
  tell(`  try: mylab-sync ${near === null ? '--help' : `${near} --help`}`)
}

function explanation(words: readonly string[], command: Command, message: string): string {
  const { options, positionals } = command
  const [, kind = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(message) ?? []
  switch (kind) {
    case 'unknown':
      return unknownWord(words, command, rest.replace(/, .*/s, ''))
    case 'no-value':
      return `--${rest}: expected a value`
    case 'missing':
      return `argument missing, expected ${positionals.map((each) => options[each]?.choices?.join(', ') ?? each).join(' ')}`
    case 'invalid':
      return wrongChoice(command, rest)
    default:
      return message
  }
}

function wrongChoice({ options, positionals }: Command, fault: string): string {
  const [, name = '', given = ''] = /^(\S+) "(.*?)"/.exec(fault) ?? []
  const choices = options[name]?.choices?.filter((choice) => choice !== '').join(', ')
  return `${positionals.includes(name) ? name : `--${name}`}: found ${given}, expected ${choices}`
}

function unknownWord(words: readonly string[], { options }: Command, unknown: string): string {
  if (!words.some((word) => word.startsWith('-') && word.includes(unknown))) return `unexpected argument ${unknown}`
  const near = nearest(unknown, [...Object.keys(COMMON), ...Object.keys(options)])
  return `no option --${unknown}${near === null ? '' : `; did you mean --${near}?`}`
}

const MAX_EDITS = 3

/** The candidate with the fewest edits, unless even that one is too different. */
function nearest(word: string, candidates: readonly string[]): string | null {
  let best: { readonly candidate: string; readonly edits: number } | null = null
  for (const candidate of candidates) {
    const edits = editsBetween(word, candidate)
    if (edits <= Math.min(MAX_EDITS, candidate.length >> 1) && edits < (best?.edits ?? Infinity))
      best = { candidate, edits }
  }
  return best?.candidate ?? null
}

/** The Levenshtein distance. */
function editsBetween(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let row = 1; row <= a.length; row++) {
    const line = [row]
    for (let at = 1; at <= b.length; at++) {
      const replaced = (above[at - 1] ?? 0) + (a[row - 1] === b[at - 1] ? 0 : 1)
      line.push(Math.min(replaced, (above[at] ?? 0) + 1, (line[at - 1] ?? 0) + 1))
    }
    above = line
  }
  return above[b.length] ?? 0
}
