import { cpus } from 'node:os'
import { Proxy, ServerSet } from '@mylab-sync/testkit'
import { run } from '../support/cli.js'
import { contentOf } from '../support/content.js'
import assert from 'node:assert/strict'
import { pgloader, pipe, type Place, timed } from './peers.js'
import { beside, type Ratio, rounded } from './rounds.js'

/** One point of a curve: the product and its peer in the same run, at one size of one thing. */
export interface Point extends Ratio {
  readonly axis: string
  readonly at: number
  /** The largest resident memory of a process of the product. */
  readonly residentMb: number
  /** Cores and versions. */
  readonly machine: string
}

const SALARIES = `CREATE TABLE t (emp_no INT NOT NULL, salary INT NOT NULL, from_date DATE NOT NULL, to_date DATE NOT NULL, PRIMARY KEY (emp_no, from_date)) ENGINE=InnoDB`
const SALARY = `seq DIV 10, 38000 + seq % 90000, '1990-01-01' + INTERVAL seq % 10 YEAR, '1991-01-01' + INTERVAL seq % 10 YEAR`
const SALARIES_BY_HAND =
  'CREATE TABLE t (emp_no integer NOT NULL, salary integer NOT NULL, from_date date NOT NULL, to_date date NOT NULL)'
const SALARIES_KEY = 'ALTER TABLE t ADD PRIMARY KEY (emp_no, from_date)'

const PERSON = `id INT NOT NULL PRIMARY KEY AUTO_INCREMENT, nama VARCHAR(80) NOT NULL, kode CHAR(10), tgl DATE, waktu DATETIME, harga DECIMAL(12,2), st ENUM('a','b','c') DEFAULT 'a', ket TEXT, v INT NOT NULL DEFAULT 0`
const PERSON_VALUES = `seq, CONCAT('nama ', seq), LPAD(seq, 10, '0'), '2001-01-01' + INTERVAL seq % 5000 DAY, '2001-01-01 08:00:00' + INTERVAL seq % 500000 MINUTE, seq / 7, 1 + seq % 3, CONCAT('keterangan ', seq, ' lorem ipsum dolor'), 0`
const PERSON_COLUMNS = ['nama', 'kode', 'tgl', 'waktu', 'harga', 'st', 'ket', 'v']

const PIPE = 'mariadb | psql \\copy, then the key'
const BY_HAND = 'SELECT, COPY, upsert and mark by hand'
const PGLOADER = 'pgloader'
const NAME = 'axis'

/** A first copy of a narrow table. */
export function copyOfRows(sizes: readonly number[]): Promise<Point[]> {
  return withServers(async (bench) => {
    const points: Point[] = []
    for (const rows of sizes) {
      await bench.fill(`${SALARIES}; INSERT INTO t SELECT ${SALARY} FROM seq_1_to_${rows}; ANALYZE TABLE t`)
      points.push(await bench.point({ axis: 'rows', at: rows, peer: PIPE }, salaries(bench, 'SELECT * FROM t')))
    }
    return points
  })
}

/** A first copy of one size with rows of several widths. */
export function copyOfWidths(widths: readonly number[], bytes = 100_000_000): Promise<Point[]> {
  return withServers(async (bench) => {
    const points: Point[] = []
    for (const width of widths) {
      const rows = Math.max(1, Math.round(bytes / width))
      await bench.fill(`CREATE TABLE t (id INT NOT NULL PRIMARY KEY, b LONGTEXT CHARACTER SET ascii NOT NULL) ENGINE=InnoDB;
        INSERT INTO t SELECT seq, REPEAT(CHAR(97 + seq % 26), ${width}) FROM seq_1_to_${rows}; ANALYZE TABLE t`)
      const table = 'CREATE TABLE t (id integer NOT NULL, b text NOT NULL)'
      const key = 'ALTER TABLE t ADD PRIMARY KEY (id)'
      points.push(
        await bench.point(
          { axis: 'width', at: width, peer: PIPE },
          pair(bench, { select: 'SELECT * FROM t', table, key }),
        ),
      )
    }
    return points
  })
}

/** A first copy of a million rows with both servers so many milliseconds away, for the peer too. */
export function copyFromAfar(roundTrips: readonly number[], rows = 1_000_000): Promise<Point[]> {
  return withServers(async (bench) => {
    await bench.fill(`${SALARIES}; INSERT INTO t SELECT ${SALARY} FROM seq_1_to_${rows}; ANALYZE TABLE t`)
    const points: Point[] = []
    for (const roundTripMs of roundTrips)
      points.push(
        await bench.away(roundTripMs, (far) =>
          far.point({ axis: 'roundTripMs', at: roundTripMs, peer: PIPE }, salaries(far, 'SELECT * FROM t')),
        ),
      )
    return points
  })
}

/** Set-up and first copy of a database of many small tables, two thirds of them with a foreign key. */
export function copyOfTables(counts: readonly number[], rows = 400): Promise<Point[]> {
  return withServers(async (bench) => {
    const points: Point[] = []
    for (const tables of counts) {
      await bench.fill('')
      for (let n = 0; n < tables; n++) await bench.statement(smallTable(n, rows))
      points.push(
        await bench.point(
          { axis: 'tables', at: tables, peer: PGLOADER },
          {
            product: () => bench.seconds(['setup-triggers'], ['initial', '--create-tables']),
            peer: () => pgloader(bench.place),
          },
        ),
      )
    }
    return points
  })
}

function smallTable(n: number, rows: number): string {
  const parent = n % 3 === 0 ? '' : `, p INT, KEY (p), FOREIGN KEY (p) REFERENCES t${n - (n % 3)} (id)`
  return `CREATE TABLE t${n} (${PERSON}${parent}, KEY (kode), KEY (tgl)) ENGINE=InnoDB;
    INSERT INTO t${n} SELECT ${PERSON_VALUES}${parent === '' ? '' : ', seq'} FROM seq_1_to_${rows}`
}

/** One drain of so many changes of one table. Both sides' rows are compared afterwards. */
export function drainOfEntries(sizes: readonly number[]): Promise<Point[]> {
  return withServers(async (bench) => {
    const most = Math.max(...sizes)
    await bench.fill(
      `CREATE TABLE t (${PERSON}, KEY (kode)) ENGINE=InnoDB; INSERT INTO t SELECT ${PERSON_VALUES} FROM seq_1_to_${most}; ANALYZE TABLE t`,
    )
    await bench.seconds(['migrate'], ['initial', '--create-tables'])
    const points: Point[] = []
    for (const entries of sizes) {
      const change = (): Promise<void> => bench.statement(`UPDATE t SET v = v + 1 WHERE id <= ${entries}`)
      const product = async (): Promise<number> => {
        await change()
        return bench.drained()
      }
      const peer = async (): Promise<number> => {
        await change()
        return drainByHand(bench)
      }
      points.push(await bench.point({ axis: 'entries', at: entries, peer: BY_HAND, keep: true }, { product, peer }))
      await bench.assertEqual('t')
    }
    return points
  })
}

/** The fewest statements that carry the changed rows and mark their entries, one after the other. */
async function drainByHand(bench: Bench): Promise<number> {
  await bench.atTarget('CREATE UNLOGGED TABLE IF NOT EXISTS stage AS SELECT * FROM t WITH NO DATA; TRUNCATE stage')
  return timed(async () => {
    await pipe(
      bench.place,
      'SELECT t.* FROM t JOIN (SELECT DISTINCT row_key k FROM sync_audit_log WHERE synced = 0) d ON t.id = d.k',
      'stage',
    )
    const columns = PERSON_COLUMNS.map((name) => `${name} = excluded.${name}`).join(', ')
    await bench.atTarget(`INSERT INTO t SELECT * FROM stage ON CONFLICT (id) DO UPDATE SET ${columns}`)
    // Without the variable the mark counts as damage to the log, and the next drain reads all tables again.
    await bench.statement(
      'SET @mylab_sync_own = 1; UPDATE sync_audit_log SET synced = 1, synced_at = NOW() WHERE synced = 0',
    )
  })
}

interface ByHand {
  readonly select: string
  readonly table: string
  readonly key: string
}

type Contestants = Parameters<typeof beside>[1]

function salaries(bench: Bench, select: string): Contestants {
  return pair(bench, { select, table: SALARIES_BY_HAND, key: SALARIES_KEY })
}

function pair(bench: Bench, { select, table, key }: ByHand): Contestants {
  return {
    product: () => bench.seconds(['initial', '--create-tables']),
    peer: async () => {
      await bench.atTarget(table)
      return (await pipe(bench.place, select, 't')) + (await timed(() => bench.atTarget(key)))
    },
  }
}

interface About {
  readonly axis: string
  readonly at: number
  readonly peer: string
  /** Continues with the databases as they are. */
  readonly keep?: boolean
}

/** A set of servers with one database on each side. */
class Bench {
  readonly place: Place
  #residentMb = 0

  constructor(place: Place) {
    this.place = place
  }

  async point({ axis, at, peer, keep = false }: About, contestants: Contestants): Promise<Point> {
    this.#residentMb = 0
    const product = async (): Promise<number | null> => {
      if (!keep) await this.#forget()
      if (!keep) await this.#cli(['migrate'])
      return contestants.product()
    }
    const other = async (): Promise<number | null> => {
      if (!keep) await this.#forget()
      return contestants.peer()
    }
    const ratio = await beside(peer, { product, peer: other })
    return { axis, at, ...ratio, residentMb: this.#residentMb, machine: await this.#machine() }
  }

  async #machine(): Promise<string> {
    const { servers } = this.place
    await using source = await servers.sourceAdmin()
    await using target = await servers.targetAdmin()
    const [[of]] = (await source.query('SELECT VERSION() AS version')) as unknown as [[{ version: string }]]
    const { rows } = await target.query<{ version: string }>("SELECT current_setting('server_version') AS version")
    const [postgres = ''] = rows[0]?.version.split(' ') ?? []
    return `${cpus().length} cores, Node ${process.versions.node}, ${of.version.replace(/-log$/, '')}, PostgreSQL ${postgres}`
  }

  /** New databases, the source's with these statements. */
  async fill(statements: string): Promise<void> {
    await this.place.servers.createDatabases({ source: this.place.name, target: this.place.name })
    if (statements !== '') await this.statement(statements)
  }

  async statement(text: string): Promise<void> {
    const admin = await this.place.servers.sourceAdmin(this.place.name)
    await admin.query(text).finally(() => admin.end())
  }

  async atTarget(text: string): Promise<void> {
    const owner = await this.place.servers.targetOwner(this.place.name)
    await owner.query(text).finally(() => owner.end())
  }

  /** Seconds of these commands together. */
  async seconds(...commands: readonly (readonly string[])[]): Promise<number> {
    let seconds = 0
    for (const command of commands) seconds += (await this.#cli(command)).seconds
    return rounded(seconds)
  }

  /** Seconds of one drain by its own account, without the start of the process. */
  async drained(): Promise<number> {
    const { stdout } = await this.#cli(['database', '--once'])
    const milliseconds = /Time: ([\d.]+)ms/.exec(stdout)?.[1]
    assert.ok(milliseconds !== undefined, `no time in: ${stdout}`)
    return Number(milliseconds) / 1000
  }

  async #cli(command: readonly string[]): ReturnType<typeof run> {
    const { servers, name, ports } = this.place
    const lines = ports === undefined ? {} : { DB_PORT: String(ports.source), PGSQL_PORT: String(ports.target) }
    const ran = await run(servers, name, command, lines)
    assert.equal(ran.code, 0, `${command.join(' ')}: ${ran.stderr}`)
    this.#residentMb = Math.max(this.#residentMb, ran.peakMb)
    return ran
  }

  async assertEqual(table: string): Promise<void> {
    const source = await this.place.servers.sourceAdmin(this.place.name)
    const target = await this.place.servers.targetAdmin(this.place.name)
    try {
      assert.equal(await contentOf(target, table), await contentOf(source, table), table)
    } finally {
      await source.end()
      await target.end()
    }
  }

  /** The source as it was before the product saw it, and an empty target. */
  async #forget(): Promise<void> {
    const { servers, name } = this.place
    const admin = await servers.sourceAdmin(name)
    try {
      const names = async (query: string): Promise<string[]> =>
        ((await admin.query(query)) as unknown as [{ name: string }[]])[0].map((row) => row.name)
      for (const trigger of await names(
        'SELECT TRIGGER_NAME AS name FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()',
      ))
        await admin.query(`DROP TRIGGER \`${trigger}\``)
      for (const table of await names(
        "SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'sync\\_%'",
      ))
        await admin.query(`DROP TABLE \`${table}\``)
    } finally {
      await admin.end()
    }
    await servers.createTargetDatabase(name)
  }

  async away<T>(roundTripMs: number, work: (far: Bench) => Promise<T>): Promise<T> {
    const { servers } = this.place
    const lines: Proxy[] = []
    try {
      for (const to of [servers.source, servers.target]) lines.push(await Proxy.start(to, { roundTripMs }))
      const [source = 0, target = 0] = lines.map(({ port }) => port)
      return await work(new Bench({ ...this.place, ports: { source, target } }))
    } finally {
      for (const line of lines) await line.close()
    }
  }
}

async function withServers(work: (bench: Bench) => Promise<Point[]>): Promise<Point[]> {
  const servers = await ServerSet.start({ services: ['mariadb', 'postgres'] })
  try {
    return await work(new Bench({ servers, name: NAME }))
  } finally {
    await servers.close()
  }
}
