import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Bytes that may be under way in one direction before its sender is paused. */
const MAX_UNDER_WAY = 4 << 20

interface Pair {
  readonly near: Socket
  readonly far: Socket
}

export interface ProxyOptions {
  readonly roundTripMs?: number
  /** Hears all bytes, as somebody on the line would; `line` is one object for one direction of one connection. */
  readonly tap?: (data: Buffer, line: object) => void
}

/** A TCP port of 127.0.0.1 that leads to a server, over a line of a given length that can be frozen or cut. */
export class Proxy {
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  readonly #options: ProxyOptions
  #frozen = false

  private constructor(server: Server, options: ProxyOptions) {
    this.#server = server
    this.#options = options
  }

  static async start(to: { readonly host: string; readonly port: number }, options: ProxyOptions = {}): Promise<Proxy> {
    const server = createServer({ pauseOnConnect: true })
    const proxy = new Proxy(server, options)
    server.on('connection', (near) => proxy.#accept(near, to))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** From now on nothing passes and nobody is told: no byte, no end, no refusal, also for those who connect now. */
  freeze(): void {
    this.#frozen = true
    for (const pair of this.#pairs) for (const socket of both(pair)) socket.pause()
  }

  /** What was held back passes. */
  thaw(): void {
    this.#frozen = false
    for (const pair of this.#pairs) for (const socket of both(pair)) socket.resume()
  }

  /** Ends all connections, both ends told; new ones may come at once. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of both(pair)) socket.destroy()
  }

  async close(): Promise<void> {
    this.#server.close()
    this.cut()
    if (this.#server.listening) await once(this.#server, 'close')
  }

  #accept(near: Socket, to: { readonly host: string; readonly port: number }): void {
    const far = connect({ ...to, noDelay: true })
    near.setNoDelay(true)
    const pair = { near, far }
    this.#pairs.add(pair)
    this.#carry(near, far)
    this.#carry(far, near)
    for (const socket of both(pair)) {
      socket.on('error', () => {})
      socket.on('close', () => this.#pairs.delete(pair))
    }
    if (!this.#frozen) near.resume()
    else far.pause()
  }

  #carry(from: Socket, to: Socket): void {
    const delayMs = (this.#options.roundTripMs ?? 0) / 2
    let underWay = 0
    const later = (act: () => void): void => {
      if (delayMs === 0) act()
      else setTimeout(act, delayMs)
    }
    from.on('data', (data: Buffer) => {
      this.#options.tap?.(data, from)
      underWay += data.length
      if (underWay > MAX_UNDER_WAY) from.pause()
      later(() => {
        to.write(data, () => {
          underWay -= data.length
          if (underWay <= MAX_UNDER_WAY && !this.#frozen) from.resume()
        })
      })
    })
    let ended = false
    from.on('end', () => {
      ended = true
      later(() => to.end())
    })
    from.on('close', () => {
      if (!ended) later(() => to.destroy())
    })
  }
}

function both({ near, far }: Pair): readonly [Socket, Socket] {
  return [near, far]
}
