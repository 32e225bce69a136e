import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Bytes in flight in one direction at which its sender is paused. */
const MAX_IN_FLIGHT = 4 << 20

interface Pair {
  readonly near: Socket
  readonly far: Socket
}

export interface ProxyOptions {
  readonly roundTripMs?: number
  /** Receives all bytes, like an eavesdropper; `line` is one object per direction of a connection. */
  readonly tap?: (data: Buffer, line: object) => void
}

/** A TCP port of 127.0.0.1 that forwards to a server with a given delay, and can be frozen or cut. */
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

  /** From now on nothing passes silently: no byte, no FIN, no refusal, not even for new connections. */
  freeze(): void {
    this.#frozen = true
    for (const pair of this.#pairs) for (const socket of both(pair)) socket.pause()
  }

  /** Forwards what was held back. */
  thaw(): void {
    this.#frozen = false
    for (const pair of this.#pairs) for (const socket of both(pair)) socket.resume()
  }

  /** Closes all connections at both ends; new ones may be opened at once. */
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
    let inFlight = 0
    const later = (act: () => void): void => {
      if (delayMs === 0) act()
      else setTimeout(act, delayMs)
    }
    from.on('data', (data: Buffer) => {
      this.#options.tap?.(data, from)
      inFlight += data.length
      if (inFlight > MAX_IN_FLIGHT) from.pause()
      later(() => {
        to.write(data, () => {
          inFlight -= data.length
          if (inFlight <= MAX_IN_FLIGHT && !this.#frozen) from.resume()
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
