import { isIP } from 'node:net'

interface Allowance {
  /** Attempts that may be checked immediately; if negative, how many are waiting. */
  left: number
  at: number
}

interface Rate {
  readonly burst: number
  /** One more attempt is allowed after this interval. */
  readonly everyMs: number
}

const PER_ADDRESS: Rate = { burst: 10, everyMs: 300 }
const OVERALL: Rate = { burst: 100, everyMs: 100 }
const LONGEST_WAIT_MS = 6_000
const MAX_ADDRESSES = 10_000

/**
 * Rate limit for wrong passwords: a burst, then about three per second per address and ten per second overall. A
 * correct password costs nothing and waits no longer than the wrong ones before it. An address that has logged in
 * before is exempt from the overall limit, so strangers elsewhere cannot lock out a viewer. Memory is bounded: beyond
 * 10,000 addresses the least recently seen one is dropped.
 */
export class LogIns {
  readonly #now: () => number
  readonly #all: Allowance
  readonly #addresses = new Map<string, Allowance>()
  readonly #known = new Map<string, true>()

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#all = { left: OVERALL.burst, at: now() }
  }

  /**
   * Milliseconds to wait before checking a password from this address; counts it as wrong until `right` is called.
   * Null: too many are waiting.
   */
  turn(address: string): number | null {
    const own = this.#addresses.get(address) ?? { left: PER_ADDRESS.burst, at: this.#now() }
    const ownMs = this.#waitMs(own, PER_ADDRESS)
    const waitMs = Math.max(ownMs, this.#known.has(address) ? 0 : this.#waitMs(this.#all, OVERALL))
    if (waitMs > LONGEST_WAIT_MS) return null
    this.#add(own, PER_ADDRESS, -1)
    remember(this.#addresses, address, own)
    this.#add(this.#all, OVERALL, -1)
    return waitMs
  }

  /** Refunds the last attempt: its password was correct. */
  right(address: string): void {
    const own = this.#addresses.get(address)
    if (own) this.#add(own, PER_ADDRESS, 1)
    this.#add(this.#all, OVERALL, 1)
    remember(this.#known, address, true)
  }

  #add(allowance: Allowance, rate: Rate, number: number): void {
    allowance.left = Math.min(rate.burst, this.#left(allowance, rate) + number)
    allowance.at = this.#now()
  }

  #left({ left, at }: Allowance, { burst, everyMs }: Rate): number {
    return Math.min(burst, left + (this.#now() - at) / everyMs)
  }

  #waitMs(allowance: Allowance, rate: Rate): number {
    return Math.max(0, Math.ceil((1 - this.#left(allowance, rate)) * rate.everyMs))
  }
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > MAX_ADDRESSES && oldest !== undefined) map.delete(oldest)
}

/** An IPv6 client owns its whole /64 network, so that network counts as one address. */
export function addressOf({ remoteAddress = '' }: { readonly remoteAddress?: string | undefined }): string {
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/i, '')
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.replace(/%.*$/, '').split('::')
  const groups = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - groups.length - after.length
  return `${[...groups, ...Array<string>(zeros).fill('0'), ...after].slice(0, 4).join(':')}::/64`
}
