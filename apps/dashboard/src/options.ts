import type { EngineContext } from '@mylab-sync/engine'
import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter'

/** Open connections to both databases. */
export interface Connection {
  readonly context: EngineContext
  close(): Promise<void>
}

export type ActionName = 'pause' | 'resume' | 'retry'
/** Each returns a sentence about what it did, without values of rows. */
export type Actions = Readonly<Partial<Record<ActionName, (context: EngineContext, table: string) => Promise<string>>>>

/** A BullMQ queue, typed through the board's adapter: only the queue package imports bullmq. */
export type BoardQueue = ConstructorParameters<typeof BullMQAdapter>[0]

export interface QueueCount {
  readonly queue: string
  readonly state: string
  readonly jobs: number
}

export interface DashboardOptions {
  readonly host: string
  /** 0: any free port; `onListening` gets the URL. */
  readonly port: number
  readonly user: string
  /** Null: no password, allowed on loopback only. */
  readonly password: string | null
  /** Paths of PEM files; a replaced pair is used from the next connection on. Null: HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string } | null
  readonly mode: 'direct' | 'queue'
  /** Names source and target, without user or password. */
  readonly title: string
  /** Called on first use and again after a failure, so that the page outlives any database outage. */
  readonly open: () => Promise<Connection>
  /** Actions the page offers; each is one function of the engine. */
  readonly actions?: Actions
  /** Mounted read-only under /queues. */
  readonly queues?: readonly BoardQueue[]
  /** Further problems as sentences that include the remedy, such as a queue without a worker. */
  readonly health?: () => Promise<readonly string[]>
  /** Jobs per queue and state, for the metrics; both labels have few, known values. */
  readonly queueCounts?: () => Promise<readonly QueueCount[]>
  /** For operators, not viewers: failed log-ins, an unusable certificate. Never contains text from a client. */
  readonly warn?: (fields: Readonly<Record<string, string | number>>, message: string) => void
  readonly onListening?: (url: string) => void
}
