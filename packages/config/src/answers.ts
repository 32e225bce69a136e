import { addressOf, SOURCE_SCHEMES, TARGET_SCHEMES, targetParameters } from './address.js'
import { redisAddress, type ResolvedConfig, sourceOf, targetOf } from './config.js'
import { type ConfigInput, environmentOf } from './environment.js'
import { fault } from './fault.js'

/** Where both servers and Redis are: what a new configuration has to know. An empty database name: not known yet. */
export interface Answers {
  readonly source: ResolvedConfig['source']
  readonly target: ResolvedConfig['target']
  readonly redisUrl: string | null
}

/** As given on a command line. */
export interface ServerUrls {
  readonly source?: string
  readonly target?: string
  readonly redis?: string
}

/** What URLs say; for a side without one, what the environment and `.env` say, then the defaults. */
export function suggestedAnswers(input: ConfigInput, urls: ServerUrls): Answers {
  const env = environmentOf(input)
  return {
    source:
      urls.source === undefined
        ? sourceOf({ database: '' }, env)
        : sourceOf(fileShape(urls.source, '--source-url', SOURCE_SCHEMES), {}),
    target:
      urls.target === undefined
        ? targetOf({ database: '' }, env)
        : targetOf(
            {
              ...fileShape(urls.target, '--target-url', TARGET_SCHEMES),
              ...targetParameters(urls.target, '--target-url'),
            },
            {},
          ),
    redisUrl: urls.redis === undefined ? redisAddress({}, env) : redisUrl(urls.redis),
  }
}

function fileShape(url: string, option: string, schemes: readonly string[]) {
  const { user, ...address } = addressOf(url, option, schemes)
  if (address.database === undefined) throw fault(`${option}: names no database after the host, expected one`)
  return user === undefined ? address : { ...address, username: user }
}

function redisUrl(url: string): string {
  if (!URL.canParse(url) || !['redis:', 'rediss:'].includes(new URL(url).protocol))
    throw fault('--redis-url: not a URL that begins with redis:// or rediss://')
  return url
}
