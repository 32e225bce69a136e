import type { Source, SourceSnapshot, Target, TargetTransaction } from '@mylab-sync/core'

/**
 * Both ports of an installation with a test around every call: the engine does not know that it is tested, and no place
 * where a process may die or a test may interfere can be forgotten.
 */
export interface Sides {
  readonly source: Source
  readonly target: Target
}

type Fn = (...args: never[]) => unknown
type MethodsOf<T> = { [K in keyof T & string]: T[K] extends Fn ? K : never }[keyof T & string]
type PartsOf<T> = Exclude<{ [K in keyof T & string]: T[K] extends object ? K : never }[keyof T & string], MethodsOf<T>>
/** Names of all calls of a port, those of its parts with the part's name. */
type CallsOf<T> = MethodsOf<T> | { [K in PartsOf<T>]: `${K}.${MethodsOf<T[K]>}` }[PartsOf<T>] | 'dispose'

/** Kinds of transactions, by how they begin. The drain's snapshot is the first one opened under its lock. */
type Kind = '' | 'drain.' | 'exclusive.' | 'view.'
export type CallName =
  | `source.${CallsOf<Source>}`
  | `target.${CallsOf<Target>}`
  | `${Kind}${CallsOf<TargetTransaction>}`
  | `${'' | 'drain.'}snapshot.${CallsOf<SourceSnapshot>}`
  | 'drain.openSnapshot'
/** `after` a call that succeeded; `batch`: a stream has returned one. */
export type Point = `${CallName}:${'before' | 'after' | 'batch'}`

export interface PortCall {
  readonly point: Point
  readonly args: readonly unknown[]
  /** Of `after` the result, of `batch` the batch. */
  readonly result: unknown
  /** The side, snapshot or transaction itself, which intercepts nothing. */
  readonly on: object
  /** Whether this was called before: on the same snapshot or transaction, or on either side. */
  follows(call: CallName): boolean
}

/** Awaited: the engine waits for it, and fails if it throws. */
export type Watch = (call: PortCall) => unknown

type NamesReturning<T, R> = { [K in keyof T]: T[K] extends (...args: never[]) => R ? K : never }[keyof T] & string
type EveryPart =
  | Source
  | Source[PartsOf<Source>]
  | SourceSnapshot
  | SourceSnapshot[PartsOf<SourceSnapshot>]
  | Target
  | Target[PartsOf<Target>]
  | TargetTransaction
  | TargetTransaction[PartsOf<TargetTransaction>]
type Each<T, R> = T extends unknown ? NamesReturning<T, R> : never

/** The compiler demands every method here that returns a stream. */
const STREAMS: Readonly<Record<Each<EveryPart, AsyncIterable<unknown>>, true>> = {
  pendingIdsUpTo: true,
  readRange: true,
  readBlocks: true,
  readKeys: true,
  childKeys: true,
  children: true,
  orphans: true,
}
/** Synchronous calls, around which no test can wait. */
const AT_ONCE: ReadonlySet<string> = new Set(['statements', 'statementsFor', 'carries', 'release'])

interface Handle {
  readonly real: object
  /** Prefix of its calls' names. */
  readonly prefix: string
  readonly calls: Set<string>
}

/** Calls `watch` before and after every call of both sides, and of all snapshots and transactions that they return. */
export function intercept<S extends Sides>(sides: S, watch: Watch): S {
  const { source, target } = new Interceptor(watch).around(sides)
  return { ...sides, source, target }
}

class Interceptor {
  readonly #watch: Watch
  /** Of both sides. */
  readonly #calls = new Set<string>()
  /** A drain's transaction on which nothing was called yet: between its lock and its snapshot nothing is awaited. */
  #locked: Handle | null = null

  constructor(watch: Watch) {
    this.#watch = watch
  }

  around({ source, target }: Sides): Sides {
    return {
      source: this.#proxy(source, { real: source, prefix: 'source.', calls: this.#calls }, ''),
      target: this.#proxy(target, { real: target, prefix: 'target.', calls: this.#calls }, ''),
    }
  }

  #proxy<T extends object>(real: T, handle: Handle, part: string): T {
    return new Proxy(real, {
      get: (_, key) => {
        const value: unknown = Reflect.get(real, key, real)
        if (typeof value === 'function') return this.#method(handle, part, { real, key, value: value as Method })
        const isPart = part === '' && typeof key === 'string' && typeof value === 'object' && value !== null
        return isPart ? this.#proxy(value, handle, `${key}.`) : value
      },
    })
  }

  /** Bound to the real object, which has private fields. */
  #method(
    handle: Handle,
    part: string,
    { real, key, value }: { readonly real: object; readonly key: string | symbol; readonly value: Method },
  ): Method {
    const method = key === Symbol.asyncDispose ? 'dispose' : String(key)
    if (AT_ONCE.has(method)) return value.bind(real)
    const call = (...args: unknown[]): Call => {
      if (this.#locked === handle) this.#locked = null
      return { handle, name: `${handle.prefix}${part}${method}`, args }
    }
    if (method in STREAMS)
      return (...args) => this.#stream(call(...args), () => value.apply(real, args) as AsyncIterable<unknown>)
    if (method === 'openSnapshot')
      return (...args) => this.#opened(call(...args), () => value.apply(real, args) as Promise<SourceSnapshot>)
    const kind = BEGINNINGS[method as keyof typeof BEGINNINGS]
    if (kind !== undefined)
      return (...args) => this.#begun(kind, call(...args), () => value.apply(real, args) as Promise<object | null>)
    return (...args) => this.#promise(call(...args), async () => await value.apply(real, args))
  }

  async #promise<T>(call: Call, work: () => Promise<T>): Promise<T> {
    await this.#tell(call, 'before')
    const result = await work()
    call.handle.calls.add(call.name)
    await this.#tell(call, 'after', result)
    return result
  }

  async *#stream(call: Call, begin: () => AsyncIterable<unknown>): AsyncGenerator<unknown, void, void> {
    await this.#tell(call, 'before')
    call.handle.calls.add(call.name)
    for await (const batch of begin()) {
      await this.#tell(call, 'batch', batch)
      yield batch
    }
    await this.#tell(call, 'after')
  }

  async #opened(call: Call, open: () => Promise<SourceSnapshot>): Promise<SourceSnapshot> {
    const isDrain = this.#locked !== null
    this.#locked = null
    const snapshot = await this.#promise(isDrain ? { ...call, name: 'drain.openSnapshot' } : call, open)
    const prefix = isDrain ? 'drain.snapshot.' : 'snapshot.'
    return this.#proxy(snapshot, { real: snapshot, prefix, calls: new Set() }, '')
  }

  async #begun(prefix: Kind, call: Call, begin: () => Promise<object | null>): Promise<object | null> {
    const transaction = await this.#promise(call, begin)
    if (transaction === null) return null
    const handle = { real: transaction, prefix, calls: new Set<string>() }
    if (prefix === 'drain.') this.#locked = handle
    return this.#proxy(transaction, handle, '')
  }

  async #tell({ handle, name, args }: Call, phase: string, result?: unknown): Promise<void> {
    await this.#watch({
      point: `${name}:${phase}` as Point,
      args,
      result,
      on: handle.real,
      follows: (other) => handle.calls.has(other) || this.#calls.has(other),
    })
  }
}

type Method = (...args: unknown[]) => unknown

interface Call {
  readonly handle: Handle
  readonly name: string
  readonly args: readonly unknown[]
}

/** The compiler demands every method here that begins a transaction. */
const BEGINNINGS: Readonly<Record<NamesReturning<Target, Promise<TargetTransaction | null>>, Kind>> = {
  begin: '',
  beginDrain: 'drain.',
  beginExclusive: 'exclusive.',
  beginSnapshot: 'view.',
}
