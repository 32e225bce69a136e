import { readdirSync, readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'

const LOOK_MS = 100
const CONTEXT = 60

/** Texts that may contain a secret, each with the place where it was found. */
export class Evidence {
  readonly #texts = new Map<string, { readonly place: string; readonly keys: boolean }>()

  /** `keys`: the place may contain keys of rows. */
  add(place: string, text: string, { keys = false } = {}): void {
    this.#texts.set(text, { place, keys: keys && this.#texts.get(text)?.keys !== false })
  }

  /** Total length of the texts. */
  get size(): number {
    return [...this.#texts.keys()].reduce((sum, text) => sum + text.length, 0)
  }

  /** Finds forbidden marks: `secrets` in any text, `keys` in texts that must not contain them. */
  found(marks: { readonly secrets: readonly string[]; readonly keys: readonly string[] }): string[] {
    return [...this.#texts].flatMap(([text, { place, keys }]) =>
      [...marks.secrets, ...(keys ? [] : marks.keys)].flatMap((mark) => {
        const at = text.indexOf(mark)
        return at < 0 ? [] : [`${place}: ${text.slice(Math.max(0, at - CONTEXT), at + mark.length + CONTEXT)}`]
      }),
    )
  }
}

/** Collects every command line that the machine shows to all users, until it is stopped. */
export function watchCommandLines(evidence: Evidence): () => number {
  const seen = new Set<string>()
  const timer = setInterval(() => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const line = commandLine(pid)
      if (line === '' || seen.has(line)) continue
      seen.add(line)
      evidence.add(`command line of process ${pid}`, line)
    }
  }, LOOK_MS)
  return () => {
    clearInterval(timer)
    return seen.size
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    // The process has just ended.
    return ''
  }
}

/** All keys of Redis with their values, as one text. */
export async function allOfRedis(redis: Redis): Promise<string> {
  const keys = await redis.keys('*')
  const values = await Promise.all(keys.map(async (key) => `${key} ${JSON.stringify(await valueOf(redis, key))}`))
  return values.join('\n')
}

const READ: Readonly<Record<string, (redis: Redis, key: string) => Promise<unknown>>> = {
  string: (redis, key) => redis.get(key),
  hash: (redis, key) => redis.hgetall(key),
  list: (redis, key) => redis.lrange(key, 0, -1),
  set: (redis, key) => redis.smembers(key),
  zset: (redis, key) => redis.zrange(key, 0, '-1'),
  stream: (redis, key) => redis.xrange(key, '-', '+'),
}

async function valueOf(redis: Redis, key: string): Promise<unknown> {
  const type = await redis.type(key)
  // The key has just expired.
  if (type === 'none') return null
  const read = READ[type]
  if (read === undefined) throw new Error(`${key}: a type of Redis that is not looked into: ${type}`)
  return read(redis, key)
}
