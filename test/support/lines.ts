import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually, Proxy, type ServerSet } from '@mylab-sync/testkit'

const RELOAD_MS = 10_000

/** Records what a line between this machine's proxy and a server has carried, both ways. */
export class Tap {
  bytes = 0
  readonly #marks: readonly Buffer[]
  readonly #tails = new WeakMap<object, Buffer>()
  readonly #heard = new Map<string, number>()
  /** Called with data before it passes. */
  onData: (data: Buffer) => void = () => {}

  constructor(marks: readonly string[]) {
    this.#marks = marks.map((mark) => Buffer.from(mark))
  }

  readonly listen = (data: Buffer, line: object): void => {
    this.onData(data)
    this.bytes += data.length
    const seen = Buffer.concat([this.#tails.get(line) ?? Buffer.alloc(0), data])
    for (const mark of this.#marks) {
      for (let at = seen.indexOf(mark); at >= 0; at = seen.indexOf(mark, at + 1)) {
        // A mark that ends in the kept part was counted before.
        if (at + mark.length > seen.length - data.length) this.#count(String(mark))
      }
    }
    this.#tails.set(line, seen.subarray(-Math.max(...this.#marks.map(({ length }) => length))))
  }

  /** How often each mark passed since the last call. */
  heard(): Record<string, number> {
    const found = Object.fromEntries(this.#heard)
    this.#heard.clear()
    return found
  }

  #count(mark: string): void {
    this.#heard.set(mark, (this.#heard.get(mark) ?? 0) + 1)
  }
}

export interface Tapped {
  readonly tap: Tap
  readonly proxy: Proxy
}

export async function tapped(
  at: { readonly host: string; readonly port: number },
  marks: readonly string[],
): Promise<Tapped> {
  const tap = new Tap(marks)
  return { tap, proxy: await Proxy.start(at, { tap: tap.listen }) }
}

/** Makes both servers reload their certificate files. Every later connection uses the new ones. */
export async function reloadCertificates(servers: ServerSet): Promise<void> {
  const source = await servers.sourceAdmin()
  await source.query(servers.isMysql ? 'ALTER INSTANCE RELOAD TLS' : 'FLUSH SSL').finally(() => source.end())
  await reloadTarget(servers)
}

/** Waits for the reload: PostgreSQL reads its configuration some time after the request. */
export async function reloadTarget(servers: ServerSet): Promise<void> {
  const before = await loadedAt(servers)
  const target = await servers.targetAdmin()
  await target.query('SELECT pg_reload_conf()').finally(() => target.end())
  await eventually('the target has read its configuration', async () => (await loadedAt(servers)) !== before, RELOAD_MS)
}

/** Puts the rule first: PostgreSQL applies the first matching line of pg_hba.conf. */
export async function ruleFirst(servers: ServerSet, line: string): Promise<void> {
  const file = join(servers.server('postgres').folder, 'data/pg_hba.conf')
  writeFileSync(file, `${line}\n${readFileSync(file, 'utf8')}`)
  await reloadTarget(servers)
}

async function loadedAt(servers: ServerSet): Promise<string> {
  const admin = await servers.targetAdmin()
  try {
    const { rows } = await admin.query<{ at: string }>('SELECT pg_conf_load_time()::text AS at')
    return rows[0]?.at ?? ''
  } finally {
    await admin.end()
  }
}
