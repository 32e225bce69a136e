import type pg from 'pg'

/** A statement and its parameters, each a text or an array of texts. */
export interface Statement {
  readonly text: string
  readonly values?: readonly (string | readonly (string | null)[])[]
}

/**
 * Statements sent together and answered together: one round trip. After an error the server skips the rest. Tells only how
 * many rows each wrote. Unnamed, as a pooler in transaction mode needs them.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
export class Pipeline implements pg.Submittable {
  readonly #statements: readonly Statement[]
  readonly #counts: number[] = []
  /** The driver wraps it for its timeout. */
  callback: (error: unknown, counts: number[]) => void

  constructor(statements: readonly Statement[], callback: Pipeline['callback']) {
    this.#statements = statements
    this.callback = callback
  }

  submit(connection: pg.Connection): void {
    // Otherwise each message would be a packet of its own.
    connection.stream.cork()
    try {
      for (const { text, values = [] } of this.#statements) {
        connection.parse({ name: '', text, types: [] }, true)
        connection.bind({ values: values.map((value) => (typeof value === 'string' ? value : arrayText(value))) }, true)
        connection.execute(null, true)
      }
      connection.sync()
    } finally {
      connection.stream.uncork()
    }
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.#counts.push(Number(/ (\d+)$/.exec(text)?.[1] ?? 0))
  }

  handleDataRow(): void {}

  handleError(error: unknown): void {
    this.callback(error, this.#counts)
  }

  handleReadyForQuery(): void {
    this.callback(null, this.#counts)
  }
}

/** A text array in PostgreSQL's input form. */
export function arrayText(texts: readonly (string | null)[]): string {
  const quoted = (text: string): string => `"${/["\\]/.test(text) ? text.replace(/["\\]/g, '\\$&') : text}"`
  return `{${texts.map((text) => (text === null ? 'NULL' : quoted(text))).join(',')}}`
}
