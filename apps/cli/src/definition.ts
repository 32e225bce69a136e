import type { ArgumentsCamelCase, Argv, InferredOptionTypes, Options } from 'yargs'

/** An invalid command line; thrown before anything is done. */
export class UsageFault extends Error {
  override readonly name = 'UsageFault'
}

export const flag = (describe: string) => ({ type: 'boolean', default: false, describe }) as const
export const words = (describe: string) => ({ type: 'string', requiresArg: true, describe }) as const
export const number = (describe: string) => ({ type: 'number', requiresArg: true, describe }) as const

/** What `enqueue` can put into Redis. */
export const ENQUEUED = ['copy', 'drain', 'verify', 'cleanup', 'retry'] as const

/** Options of every command. */
export const COMMON = {
  config: words('configuration file (default: mylab-sync.yaml, if it exists)'),
  json: flag('one JSON object on stdout'),
  quiet: flag('print no progress'),
  verbose: { alias: 'v', ...flag('print connections to stderr, and log more') },
  yes: flag('answer all questions with yes'),
  color: { type: 'boolean', default: true, describe: 'colours on a terminal (--no-color: none)' },
} as const satisfies OptionSet

export type OptionSet = Readonly<Record<string, Options>>
type Arguments<O extends OptionSet> = ArgumentsCamelCase<InferredOptionTypes<typeof COMMON & O>>

interface Declared<O extends OptionSet> {
  readonly name: string
  readonly describe: string
  readonly options: O
  /** Positional arguments, in order. */
  readonly positionals?: readonly (keyof O & string)[]
  /** Command lines with a description of each. */
  readonly examples: readonly (readonly [string, string])[]
  readonly run: (args: Arguments<O>) => Promise<void>
}

/** A command as seen by help, documentation and parser. */
export interface Command extends Omit<Declared<OptionSet>, 'run'> {
  readonly positionals: readonly string[]
  attach(parser: Argv): Argv
}

export function command<const O extends OptionSet>({ run, positionals = [], ...declared }: Declared<O>): Command {
  const { name, describe, options, examples } = declared
  const tail = positionals.map((each) => ` <${each}>`).join('')
  return {
    ...declared,
    positionals,
    attach: (parser) =>
      parser.command(
        `${name}${tail}`,
        describe,
        (y) => {
          for (const each of positionals) y.positional(each, { ...options[each], alias: undefined } as never)
          const dashed = Object.entries(options).filter(([each]) => !positionals.includes(each))
          y.options(Object.fromEntries(dashed)).check((given) => checkValues(given, { ...COMMON, ...options }))
          for (const [line, does] of examples) y.example(`$0 ${line}`, does)
        },
        (given) => run(given as unknown as Arguments<O>),
      ),
  }
}

/** Rejects what yargs would pass on unchanged: NaN, and an option given twice. */
function checkValues(given: Readonly<Record<string, unknown>>, options: OptionSet): true {
  for (const [name, { type, array }] of Object.entries(options)) {
    const value = given[name]
    if (Array.isArray(value) && array !== true) throw new UsageFault(`--${name}: given twice, expected once`)
    if (type === 'number' && Number.isNaN(value)) throw new UsageFault(`--${name}: not a number`)
  }
  return true
}
