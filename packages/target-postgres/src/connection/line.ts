import type { LineState, TlsSettings } from '@mylab-sync/core'
import { timedOut } from '@mylab-sync/runtime'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { negotiate } from './negotiate.js'

type Done = (error?: Error | null) => void

/**
 * The driver's socket: it speaks plaintext over a line that the settings have already encrypted or not. The driver itself
 * has no `prefer`, and reports a server without encryption only as text. Destroyed with Node's error or TlsRefused.
 */
export class Line extends Duplex {
  readonly #tls: TlsSettings
  readonly #given = new AbortController()
  readonly #signal: AbortSignal
  readonly #login: NodeJS.Timeout
  #socket: Socket | undefined
  #state: LineState | undefined

  /** `connectMs` bounds everything before the login. */
  constructor(tls: TlsSettings, connectMs: number) {
    super({ allowHalfOpen: false })
    this.#tls = tls
    this.#signal = AbortSignal.any([this.#given.signal, AbortSignal.timeout(connectMs)])
    // The driver forgets a connection whose login fails, and leaves it open until the peer closes it.
    this.#login = setTimeout(() => this.destroy(timedOut()), connectMs)
  }

  /** The login is done. */
  keep(): void {
    clearTimeout(this.#login)
  }

  /** Undefined until `connect` is emitted. */
  get state(): LineState | undefined {
    return this.#state
  }

  /** A port and a host, or the path of a socket, as the driver passes it. */
  connect(at: number | string, host = 'localhost'): this {
    const to = typeof at === 'string' ? { path: at } : { host, port: at }
    negotiate(to, this.#tls, this.#signal).then(
      ({ socket, encrypted }) => {
        if (this.destroyed) return void socket.destroy()
        this.#state = { encrypted, address: 'path' in to ? null : (socket.remoteAddress ?? host) }
        this.#carry(socket)
        this.emit('connect')
      },
      (error: unknown) => this.destroy(error instanceof Error ? error : new Error('no line', { cause: error })),
    )
    return this
  }

  /** Set from the start. */
  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    this.#socket?.ref()
    return this
  }

  unref(): this {
    this.#socket?.unref()
    return this
  }

  #carry(socket: Socket): void {
    this.#socket = socket
    socket.on('data', (data: Buffer) => {
      try {
        if (!this.push(data)) socket.pause()
      } catch (error) {
        // The driver parses data at once and throws if it is not PostgreSQL's protocol, which would end the process.
        this.destroy(error instanceof Error ? error : new Error('no answer from a server', { cause: error }))
      }
    })
    socket.on('end', () => this.push(null))
    socket.on('error', (error) => this.destroy(error))
    socket.on('close', () => this.destroy())
  }

  override _read(): void {
    this.#socket?.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    if (this.#socket === undefined) done(new Error('written to before there is a connection'))
    else this.#socket.write(chunk, done)
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: Done): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'utf8', done)
  }

  override _final(done: Done): void {
    if (this.#socket === undefined) this.destroy()
    else this.#socket.end()
    done()
  }

  override _destroy(error: Error | null, done: Done): void {
    clearTimeout(this.#login)
    this.#given.abort()
    this.#socket?.destroy()
    done(error)
  }
}
