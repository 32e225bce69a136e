import { isIP } from 'node:net'

interface Allowance {
  /** Passwords that may still be looked at at once; below 0: as many wait. */
  left: number
  at: number
}

interface Rate {
  readonly burst: number
  /** After which one more is looked at. */
  readonly everyMs: number
}

const OF_AN_ADDRESS: Rate = { burst: 10, everyMs: 300 }
const OF_ALL: Rate = { burst: 100, everyMs: 100 }
const LONGEST_WAIT_MS = 6_000
const MOST_ADDRESSES = 10_000

/**
 * How many wrong passwords are looked at: some at once, then three a second, per address, and ten overall. A right one
 * costs nothing, and waits no longer than the wrong ones before it. Whoever has known the password is not counted with all
 * others, so that strangers elsewhere do not keep a viewer out. Bounded: beyond 10,000 addresses the one that was quiet for
 * longest is forgotten.
 */
export class LogIns {
  readonly #now: () => number
  readonly #all: Allowance
  readonly #addresses = new Map<string, Allowance>()
  readonly #known = new Map<string, true>()

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#all = { left: OF_ALL.burst, at: now() }
  }

  /** Milliseconds until a password from this address may be looked at, counted as a wrong one. Null: too many wait already. */
  turn(address: string): number | null {
    const own = this.#addresses.get(address) ?? { left: OF_AN_ADDRESS.burst, at: this.#now() }
    const ownMs = this.#waitMs(own, OF_AN_ADDRESS)
    const waitMs = Math.max(ownMs, this.#known.has(address) ? 0 : this.#waitMs(this.#all, OF_ALL))
    if (waitMs > LONGEST_WAIT_MS) return null
    this.#add(own, OF_AN_ADDRESS, -1)
    remember(this.#addresses, address, own)
    this.#add(this.#all, OF_ALL, -1)
    return waitMs
  }

  /** What was looked at last was right. */
  right(address: string): void {
    const own = this.#addresses.get(address)
    if (own) this.#add(own, OF_AN_ADDRESS, 1)
    this.#add(this.#all, OF_ALL, 1)
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
  if (map.size > MOST_ADDRESSES && oldest !== undefined) map.delete(oldest)
}

/** Whoever has an address of IPv6 has its whole network of 64 bits, and counts as one. */
export function addressOf({ remoteAddress = '' }: { readonly remoteAddress?: string | undefined }): string {
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/i, '')
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.replace(/%.*$/, '').split('::')
  const groups = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - groups.length - after.length
  return `${[...groups, ...Array<string>(zeros).fill('0'), ...after].slice(0, 4).join(':')}::/64`
}
