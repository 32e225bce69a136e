import type pg from 'pg'

/** A statement and its parameters, each a text or an array of texts. */
export interface Statement {
  readonly text: string
  readonly values?: readonly (string | readonly (string | null)[])[]
}

/** How many rows a statement wrote or found, and those that it returned, as text. */
export interface Answer {
  readonly count: number
  readonly rows: readonly (readonly (string | null)[])[]
}

/**
 * Statements sent together and answered together: one round trip. After an error the server skips the rest. Unnamed, as a pooler in transaction mode needs them.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
export class Pipeline implements pg.Submittable {
  readonly #statements: readonly Statement[]
  readonly #answers: Answer[] = []
  #rows: (string | null)[][] = []
  /** The driver wraps it for its timeout. */
  callback: (error: unknown, answers: readonly Answer[]) => void

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
    this.#answers.push({ count: Number(/ (\d+)$/.exec(text)?.[1] ?? 0), rows: this.#rows })
    this.#rows = []
  }

  handleDataRow({ fields }: { readonly fields: (string | null)[] }): void {
    this.#rows.push(fields)
  }

  handleError(error: unknown): void {
    this.callback(error, this.#answers)
  }

  handleReadyForQuery(): void {
    this.callback(null, this.#answers)
  }
}

/** A text array in PostgreSQL's input form. */
export function arrayText(texts: readonly (string | null)[]): string {
  const quoted = (text: string): string => `"${/["\\]/.test(text) ? text.replace(/["\\]/g, '\\$&') : text}"`
  return `{${texts.map((text) => (text === null ? 'NULL' : quoted(text))).join(',')}}`
}
