import {
  type AddedVariables,
  addVariables,
  type Answers,
  loadConfig,
  type ServerUrls,
  suggestedAnswers,
  typedSource,
  typedTarget,
  type WrittenConfig,
  writtenConfig,
} from '@mylab-sync/config'
import { counted, SyncError } from '@mylab-sync/core'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { print, printJson, tell } from '../output.js'
import { Prompt } from '../prompt.js'
import { SecretFile } from '../secret-file.js'
import { explain } from '../failure.js'
import { loadQueue } from '../queue.js'
import { openSource, openTarget, untilStopped } from '../session.js'

export interface InitOptions {
  readonly sourceUrl?: string | undefined
  readonly targetUrl?: string | undefined
  readonly redisUrl?: string | undefined
  readonly output: string
  readonly json: boolean
  readonly yes: boolean
}

const FAILURE = 1

/** Writes nothing until both servers have answered. */
export async function runInit(options: InitOptions): Promise<void> {
  await untilStopped(async (signal) => {
    if (existsSync(options.output) && !options.yes) {
      tell(`mylab-sync: ${options.output} exists and was not changed`)
      tell('  try: mylab-sync init --yes to overwrite it, or --output for another name')
      return FAILURE
    }
    const urls = urlsOf(options)
    tellPasswords(urls)
    const suggested = suggestedAnswers({ env: process.env, directory: process.cwd() }, urls)
    const asks = process.stdin.isTTY && process.stderr.isTTY
    const answers = asks ? await asked(suggested, urls, signal) : await tested(complete(suggested))
    report(options, writtenConfig(answers), answers)
    return 0
  })
}

const VARIABLES = { source: 'SYNC_SOURCE_URL', target: 'SYNC_TARGET_URL', redis: 'REDIS_URL' } as const

function tellPasswords(urls: ServerUrls): void {
  for (const side of ['source', 'target', 'redis'] as const)
    if (/:[^/@]+@/.test(urls[side] ?? ''))
      tell(
        `--${side}-url: every user of this host can read its password in the process list; set ${VARIABLES[side]} instead`,
      )
}

function urlsOf({ sourceUrl, targetUrl, redisUrl }: InitOptions): ServerUrls {
  return {
    ...(sourceUrl === undefined ? {} : { source: sourceUrl }),
    ...(targetUrl === undefined ? {} : { target: targetUrl }),
    ...(redisUrl === undefined ? {} : { redis: redisUrl }),
  }
}

/** Throws SyncError usage if a database is unknown: without a terminal there is nobody to ask. */
function complete(answers: Answers): Answers {
  const lacking = [
    ...(answers.source.database === '' ? ['SYNC_SOURCE_URL=mysql://user:password@host/database'] : []),
    ...(answers.target.database === '' ? ['SYNC_TARGET_URL=postgres://user:password@host/database'] : []),
  ]
  if (lacking.length === 0) return answers
  throw new SyncError('usage', 'not a terminal: pass --source-url and --target-url', {
    remedy: `export ${lacking.join(' ')}; mylab-sync init`,
  })
}

async function tested(answers: Answers): Promise<Answers> {
  await testSource(answers.source)
  await testTarget(answers.target)
  await testRedis(answers)
  return answers
}

const NAMES = { auditTable: 'sync_audit_log', instance: 'default' }

async function testSource(source: Answers['source']): Promise<void> {
  const opened = await openSource({ source, ...NAMES })
  try {
    const { vendor, version, tables } = await opened.catalog.read()
    tell(
      `source: ${vendor === 'mariadb' ? 'MariaDB' : 'MySQL'} ${version}, ${counted(tables.length, 'table')} in ${source.database}`,
    )
  } finally {
    await opened.close()
  }
}

async function testTarget(target: Answers['target']): Promise<void> {
  const opened = await openTarget({ target, ...NAMES })
  await opened.close()
  tell(`target: PostgreSQL, database ${target.database}, schema ${target.schema}`)
}

async function testRedis({ redisUrl, redisTls }: Pick<Answers, 'redisUrl' | 'redisTls'>): Promise<void> {
  if (redisUrl === null) return
  const { checkRedis } = await loadQueue()
  for (const warning of await checkRedis({ redisUrl, redisTls })) tell(`Redis: ${warning}`)
  tell('Redis: answers')
}

/** Asks for each side that no URL configures, and repeats until that side answers. */
async function asked(suggested: Answers, urls: ServerUrls, signal: AbortSignal): Promise<Answers> {
  const prompt = new Prompt(signal)
  try {
    const source = await untilGood(urls.source !== undefined, suggested.source, {
      ask: async (known) => ({
        ...known,
        ...(await askAddress(prompt, 'MySQL or MariaDB', { ...known, at: typedSource })),
      }),
      test: testSource,
    })
    const target = await untilGood(urls.target !== undefined, suggested.target, {
      ask: async (known) => ({
        ...known,
        ...(await askAddress(prompt, 'PostgreSQL', { ...known, at: typedTarget })),
        schema: await prompt.ask('PostgreSQL schema', known.schema),
      }),
      test: testTarget,
    })
    const { redisUrl, redisTls } = await untilGood(urls.redis !== undefined, suggested, {
      ask: async (known) => {
        const url = await prompt.ask('Redis URL (none: one process does everything)', known.redisUrl ?? 'none')
        if (url === 'none') return { ...known, redisUrl: null, redisTls: null }
        return suggestedAnswers({ env: process.env, directory: process.cwd() }, { redis: url })
      },
      test: testRedis,
    })
    return { source, target, redisUrl, redisTls }
  } finally {
    prompt.close()
  }
}

interface Asking<T> {
  ask(known: T): Promise<T>
  test(answer: T): Promise<void>
}

/** Tests an answer given by URL first; asks only if that fails. */
async function untilGood<T>(given: boolean, suggested: T, { ask, test }: Asking<T>): Promise<T> {
  let answer = suggested
  for (let isGiven = given; ; isGiven = false) {
    try {
      if (!isGiven) answer = await ask(answer)
      await test(answer)
      return answer
    } catch (error) {
      if (!(error instanceof SyncError)) throw error
      explain(error)
    }
  }
}

interface Asked<T> {
  readonly host: string
  readonly socket?: string | null
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string
  /** Parses host and port as typed. */
  readonly at: (host: string, port: string) => T
}

async function askAddress<T>(
  prompt: Prompt,
  server: string,
  known: Asked<T>,
): Promise<T & Pick<Asked<T>, 'database' | 'user' | 'password'>> {
  const host = await prompt.ask(`${server} host`, known.socket ?? known.host)
  const port = host.startsWith('/') ? String(known.port) : await prompt.ask(`${server} port`, String(known.port))
  const database = await prompt.ask(`${server} database`, known.database)
  const user = await prompt.ask(`${server} user`, known.user)
  const password = await prompt.askSecret(`${server} password of ${user}`, known.password)
  if (database === '') throw new SyncError('usage', `${server} database: no name given`)
  return { ...known.at(host, port), database, user, password }
}

/** Writes both files, then prints the next command and which settings of the environment override the new file. */
function report(options: InitOptions, { yaml, secrets }: WrittenConfig, answers: Answers): void {
  const added = writeFiles(options, yaml, unknownTo(process.env, secrets))
  const isDefault = resolve(options.output) === join(process.cwd(), 'mylab-sync.yaml')
  const next = isDefault ? 'mylab-sync doctor' : `mylab-sync doctor --config ${options.output}`
  const stronger = strongerValues(options.output, answers)
  if (options.json) {
    printJson({ file: options.output, env: { added: added.added, kept: added.kept }, stronger, next })
    return
  }
  print(`Wrote ${options.output}${added.added.length === 0 ? '' : `, and ${added.added.join(' and ')} into .env`}.`)
  for (const name of added.kept) tell(`.env already has another ${name}, which was kept (--yes overwrites it)`)
  for (const name of added.impossible)
    tell(`${name} cannot be written to .env: set it in the environment, or as ${name}_FILE`)
  if (added.added.length > 0 && isShared()) tell('.env now contains passwords: add it to .gitignore')
  for (const key of stronger) tell(`${key}: the environment or .env overrides ${options.output}`)
  print(`Next: ${next}`)
}

/** Opens the file of secrets first: if it cannot be written, the configuration is not written either. */
function writeFiles(options: InitOptions, yaml: string, secrets: Readonly<Record<string, string>>): AddedVariables {
  const writeConfig = (): void => writeFileSync(options.output, yaml, { flag: options.yes ? 'w' : 'wx' })
  if (Object.keys(secrets).length === 0) {
    writeConfig()
    return addVariables('', {}, { replace: false })
  }
  const file = new SecretFile('.env')
  try {
    const added = addVariables(file.text, secrets, { replace: options.yes })
    writeConfig()
    if (added.text !== file.text) file.write(added.text)
    return added
  } finally {
    file.close()
  }
}

/** The secrets that the environment does not already provide; only these belong in `.env`. */
function unknownTo(env: NodeJS.ProcessEnv, secrets: WrittenConfig['secrets']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(secrets).filter(([name, value]) => env[name] !== value && env[`${name}_FILE`] === undefined),
  )
}

/** Keys whose value in the written file is overridden by the environment or `.env`. */
function strongerValues(file: string, answers: Answers): string[] {
  const config = loadConfig({ env: process.env, directory: process.cwd(), file })
  const sides = ['source', 'target'] as const
  const differing = sides.flatMap((side) => {
    const loaded: Readonly<Record<string, unknown>> = { ...config[side] }
    return Object.entries(answers[side])
      .filter(([key, value]) => !isDeepStrictEqual(loaded[key], value))
      .map(([key]) => `${side}.${key}`)
  })
  return config.redisUrl === answers.redisUrl ? differing : [...differing, 'redis']
}

/** Whether the directory is a git repository that does not ignore `.env`. */
function isShared(): boolean {
  if (!existsSync('.git')) return false
  return !existsSync('.gitignore') || !/^\/?\.env\s*$/m.test(readFileSync('.gitignore', 'utf8'))
}
