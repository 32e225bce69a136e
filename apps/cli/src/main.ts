import yargs, { type Argv } from 'yargs'
import { hideBin } from 'yargs/helpers'
import { COMMANDS } from './commands.js'
import { COMMON, UsageFault } from './definition.js'
import { printText, tell } from './output.js'
import { quietLibraries } from './quiet.js'
import { checkFlags, explainUsage, FAULT_TEXTS } from './usage.js'
import { VERSION } from './version.js'

const USAGE = 2
const PURPOSE = 'Keeps a PostgreSQL database equal to a live MySQL or MariaDB database.'

function parserOf(words: readonly string[]): Argv {
  const parser = yargs([...words])
    .scriptName('mylab-sync')
    .locale('en')
    // The types of yargs lack texts with two forms.
    .updateStrings(FAULT_TEXTS as never)
    .usage(`${PURPOSE}\n\n$0 <command>`)
    .options(COMMON)
    .group([...Object.keys(COMMON), 'help', 'version'], 'Common options:')
    .strict()
    .demandCommand(1)
    .version(VERSION)
    .exitProcess(false)
    // Without a throw yargs continues and runs the command that it has just rejected.
    .fail((message: string | null, error?: Error) => {
      throw error ?? new UsageFault(message ?? 'cannot be understood')
    })
    .epilogue('Each command with --help shows its options and examples; each answers to sync:<command> too.')
  return COMMANDS.reduce((known, each) => each.attach(known), parser as Argv)
}

async function run(given: readonly string[]): Promise<void> {
  const words = withoutOldNames(given)
  if (words.length === 0) {
    shortHelp()
    process.exitCode = USAGE
    return
  }
  try {
    checkFlags(words, COMMANDS)
    // Without a callback yargs prints help to the console, which writes to a sink here.
    await parserOf(words).parseAsync([...words], {}, (_error, _argv, help) => {
      if (help) printText(help)
    })
  } catch (error) {
    if (!(error instanceof Error && (error instanceof UsageFault || error.name === 'YError'))) throw error
    explainUsage(words, COMMANDS, error.message)
    process.exitCode = USAGE
  }
}

/** Every command also answers to its name in the older package. */
function withoutOldNames(words: readonly string[]): string[] {
  const at = words.findIndex((word) => COMMANDS.some(({ name }) => word === `sync:${name}`))
  return words.map((word, index) => (index === at ? word.slice('sync:'.length) : word))
}

function shortHelp(): void {
  tell(PURPOSE)
  tell('')
  const width = Math.max(...COMMANDS.map(({ name }) => name.length))
  for (const { name, describe } of COMMANDS) tell(`  ${name.padEnd(width)}  ${describe}`)
  tell('')
  tell('  try: mylab-sync <command> --help')
}

quietLibraries()
await run(hideBin(process.argv))
