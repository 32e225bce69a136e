import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Redis } from 'ioredis'

/** Records everything that clients send to a Redis server from now on, and reads everything that it holds. */
export class RedisWatch {
  readonly #monitor: Socket
  readonly #redis: Redis
  readonly #sent: Buffer[] = []

  private constructor(monitor: Socket, redis: Redis) {
    this.#monitor = monitor
    this.#redis = redis
    monitor.on('data', (data: Buffer) => this.#sent.push(data))
  }

  static async start(url: string): Promise<RedisWatch> {
    const { hostname, port } = new URL(url)
    const monitor = connect(Number(port), hostname)
    monitor.write('MONITOR\r\n')
    await once(monitor, 'data')
    return new RedisWatch(monitor, new Redis(url))
  }

  /** Commands sent so far, including those of scripts, as they went over the line: one character per byte. */
  get commands(): string {
    return unescaped(Buffer.concat(this.#sent).toString('latin1'))
  }

  /** Every key with its value, one character per byte. */
  async held(): Promise<string> {
    const parts: string[] = []
    for (const key of await this.#redis.keys('*')) parts.push(key, ...texts(await this.#valueOf(key)))
    return parts.join('\n')
  }

  async close(): Promise<void> {
    this.#monitor.destroy()
    await this.#redis.quit()
  }

  async #valueOf(key: string): Promise<unknown> {
    const redis = this.#redis
    const type = await redis.type(key)
    switch (type) {
      case 'string':
        return redis.getBuffer(key)
      case 'hash':
        return redis.callBuffer('HGETALL', key)
      case 'list':
        return redis.lrangeBuffer(key, 0, -1)
      case 'set':
        return redis.smembersBuffer(key)
      case 'zset':
        return redis.zrangeBuffer(key, '0', '-1')
      case 'stream':
        return redis.callBuffer('XRANGE', key, '-', '+')
      case 'none':
        return []
      default:
        throw new Error(`a value of type ${type}`)
    }
  }
}

function texts(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(texts)
  return Buffer.isBuffer(value) ? [value.toString('latin1')] : []
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', a: '\u0007', b: '\b' }

/** MONITOR writes bytes beyond printable ASCII as escapes. */
function unescaped(text: string): string {
  return text.replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, hex: string | undefined, letter: string) =>
    hex === undefined ? (ESCAPES[letter] ?? letter) : String.fromCharCode(Number.parseInt(hex, 16)),
  )
}
