import { join } from 'node:path'
import { fault } from './fault.js'
import { readText } from './read-text.js'
import { SECRETS } from './settings.js'

export type Env = Readonly<Record<string, string | undefined>>

export interface ConfigInput {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly directory: string
  /** From --config. */
  readonly file?: string
}

/** `.env`, overridden by the environment. */
function givenVariables(input: ConfigInput): Record<string, string> {
  return { ...parseDotEnv(readText(join(input.directory, '.env')) ?? ''), ...defined(input.env) }
}

/** `.env`, overridden by the environment, with secrets read from their files. */
export function environmentOf(input: ConfigInput): Env {
  // An empty value counts as not set: that is how people disable a line in .env.
  return withSecretFiles(Object.fromEntries(Object.entries(givenVariables(input)).filter(([, value]) => value !== '')))
}

function defined(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}

function parseDotEnv(text: string): Record<string, string> {
  const values: Record<string, string> = {}
  for (const line of text.split('\n')) {
    const [, name, raw = ''] = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    if (name === undefined) continue
    const [, quoted] = /^(?:"([^"]*)"|'([^']*)')$/.exec(raw) ?? []
    values[name] = quoted ?? raw.replace(/^'(.*)'$/, '$1').replace(/\s+#.*$/, '')
  }
  return values
}

/** Replaces `NAME_FILE` by the content of that file. */
function withSecretFiles(env: Record<string, string | undefined>): Record<string, string | undefined> {
  const values = { ...env }
  for (const name of SECRETS) {
    const path = env[`${name}_FILE`]
    if (path === undefined || values[name] !== undefined) continue
    const text = readText(path, `environment: ${name}_FILE`)
    if (text === null) throw fault(`environment: ${name}_FILE: no such file, expected a readable file`)
    values[name] = text.trimEnd()
  }
  return values
}
