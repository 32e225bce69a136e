import type { EngineContext } from '@mylab-sync/engine'
import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter'

/** Both databases, open. */
export interface Connection {
  readonly context: EngineContext
  close(): Promise<void>
}

export type ActionName = 'pause' | 'resume' | 'retry'
/** Each gives a sentence about what it has done, without values of rows. */
export type Actions = Readonly<Partial<Record<ActionName, (context: EngineContext, table: string) => Promise<string>>>>

/** A BullMQ queue, named through the board's adapter: only the queue package imports bullmq. */
export type BoardQueue = ConstructorParameters<typeof BullMQAdapter>[0]

export interface QueueCount {
  readonly queue: string
  readonly state: string
  readonly jobs: number
}

export interface DashboardOptions {
  readonly host: string
  /** 0: a free one, told to `onListening`. */
  readonly port: number
  readonly user: string
  /** Null: no password, which only loopback may do. */
  readonly password: string | null
  /** Paths of PEM files; a replaced pair is used by the next connection. None: HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string } | null
  readonly mode: 'direct' | 'queue'
  /** Source and target, named without user or password. */
  readonly title: string
  /** Called when first needed and again after a failure, so that the page outlives any database. */
  readonly open: () => Promise<Connection>
  /** What the page may do besides showing; each is one function of the engine. */
  readonly actions?: Actions
  /** Mounted, read-only, under /queues. */
  readonly queues?: readonly BoardQueue[]
  /** What else is wrong, as sentences that name their remedy: whether anybody works on the queues. */
  readonly health?: () => Promise<readonly string[]>
  /** Jobs of each queue in each state, for the metrics; both are few and known. */
  readonly queueCounts?: () => Promise<readonly QueueCount[]>
  /** What somebody should know and no viewer is told: refused log-ins, a certificate that cannot be used. No text of a stranger is among it. */
  readonly warn?: (fields: Readonly<Record<string, string | number>>, message: string) => void
  readonly onListening?: (url: string) => void
}
