import assert from 'node:assert/strict'
import { drainAll, listDiffering, loadModel, repair, status, type StatusReport, verifyStep } from '@mylab-sync/engine'
import type { ServerSet } from '@mylab-sync/testkit'
import { textRows } from '../support/content.js'
import { createInstallation, type Installation, NEVER_ABORTED } from '../support/installation.js'

/** A change that does not reach the target, and of which nothing is said, if the rule against this is left out. */
export interface Loss {
  readonly schema: string
  /** The target is prepared by this once all is copied, and freed from it before its rows can be repaired. */
  readonly arm?: string
  readonly disarm?: string
  readonly change: string
  /** The rows that differ then, in order. */
  readonly lost: readonly string[]
  /** All rows of the tables, as SQL that both sides print alike. */
  readonly rows: string
}

const MAX_STEPS = 50

export const LOSSES = {
  'look-up-form': (isMysql: boolean): Loss => ({
    schema: `CREATE TABLE digits (k FLOAT(7,2) PRIMARY KEY, v INT) ENGINE=InnoDB;
      CREATE TABLE members (k ENUM('a','b'), i INT, v INT, PRIMARY KEY (k, i)) ENGINE=InnoDB;
      INSERT INTO digits VALUES (1, 1), (2.3, 2), (0.1, 3); INSERT INTO members VALUES ('a', 1, 1), ('a', 2, 2), ('b', 1, 3)`,
    change: 'UPDATE digits SET v = v + 10 WHERE v > 1; UPDATE members SET v = v + 10 WHERE v > 1',
    lost: [
      'digits 0.10 missing ',
      'digits 2.30 missing ',
      ...(isMysql ? ['members a,2 missing ', 'members b,1 missing '] : []),
    ],
    rows: 'SELECT 1, v FROM digits UNION ALL SELECT 2, v FROM members ORDER BY 1, 2',
  }),
  'cut-token': (): Loss => ({
    schema: `CREATE TABLE numbers (k DOUBLE PRIMARY KEY, v INT) ENGINE=InnoDB;
      INSERT INTO numbers VALUES (1, 1), (-1.2345678901234567e-100, 2), (-1.2345678901234567e-101, 3)`,
    change: `UPDATE numbers SET v = 20 WHERE v = 2; DELETE FROM numbers WHERE v = 3;
      INSERT INTO numbers VALUES (-1.2345678901234567e-200, 4)`,
    lost: [
      'numbers -1.2345678901234567e-100 different v',
      'numbers -1.2345678901234567e-101 surplus ',
      'numbers -1.2345678901234567e-200 missing ',
    ],
    rows: 'SELECT v FROM numbers ORDER BY 1',
  }),
  'generation-expressions': (): Loss => ({
    schema: `CREATE TABLE computed (id INT PRIMARY KEY, a INT, z INT AS (a + 1) VIRTUAL) ENGINE=InnoDB;
      INSERT INTO computed (id, a) VALUES (1, 1), (2, NULL), (3, 3)`,
    change: 'ALTER TABLE computed DROP z, ADD z INT AS (a + 2) VIRTUAL',
    lost: ['computed 1 different z', 'computed 3 different z'],
    rows: 'SELECT id, a, z FROM computed ORDER BY 1',
  }),
  'target-triggers': (): Loss => ({
    schema: `CREATE TABLE altered (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; CREATE TABLE beside (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
      INSERT INTO altered VALUES (1, 1), (2, 2), (3, 3), (4, 4); INSERT INTO beside VALUES (1, 1)`,
    arm: `CREATE FUNCTION stands_in() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'DELETE' OR NEW.id = 1 THEN RETURN NULL; END IF;
        IF NEW.id = 2 THEN NEW.v := NEW.v + 1; END IF;
        IF NEW.id = 3 THEN UPDATE public.beside SET v = 0; END IF;
        RETURN NEW; END $$;
      CREATE TRIGGER stands_in BEFORE UPDATE OR DELETE ON altered FOR EACH ROW EXECUTE FUNCTION stands_in()`,
    disarm: 'DROP TRIGGER stands_in ON altered',
    change: 'UPDATE altered SET v = v + 10 WHERE id < 4; DELETE FROM altered WHERE id = 4',
    lost: ['altered 1 different v', 'altered 2 different v', 'altered 4 surplus ', 'beside 1 different v'],
    rows: 'SELECT 1, id, v FROM altered UNION ALL SELECT 2, id, v FROM beside ORDER BY 1, 2',
  }),
} as const satisfies Record<string, (isMysql: boolean) => Loss>

export type Rule = keyof typeof LOSSES

/** A copied installation that verifies without a pause. */
export async function losing(servers: ServerSet, name: string, { schema }: Pick<Loss, 'schema'>) {
  return verifying(await createInstallation(servers, name, { schema, copied: true }), 'report')
}

function verifying(installation: Installation, repairs: 'report' | 'auto'): Installation {
  const { context } = installation
  return {
    ...installation,
    context: { ...context, options: { ...context.options, verify: { share: 1, repair: repairs } } },
  }
}

/** Whether both sides hold these rows. */
export async function isSame({ app, reader }: Installation, rows: string): Promise<boolean> {
  const [mine, theirs] = [await textRows(app, rows), await textRows(reader, rows)]
  return JSON.stringify(mine) === JSON.stringify(theirs)
}

/** Takes the steps that daemon and workers take by themselves. */
async function stepUntil({ context }: Installation, isSo: (report: StatusReport) => boolean): Promise<StatusReport> {
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    await verifyStep(context, () => loadModel(context))
    const report = await status(context)
    if (isSo(report)) return report
  }
  throw new Error(`verification has not come so far in ${MAX_STEPS} steps`)
}

/** Makes the change, asserts that it is lost although all is said to be equal, and returns what verification finds by itself. */
export async function lose(installation: Installation, { arm, change, rows }: Loss): Promise<readonly string[]> {
  const { app, context, reader } = installation
  const before = await stepUntil(installation, ({ verification }) => verification.verifiedAt !== null)
  assert.deepEqual([before.verification.rowsDifferent, before.problems], [0, []])
  if (arm !== undefined) await reader.query(arm)
  await app.query(change)
  await drainAll(context, NEVER_ABORTED.signal)
  const { problems, sentence, totals } = await status(context)
  assert.match(sentence, /^(\d+) of \1 tables? equals? the source as of [^;]*$/)
  assert.deepEqual([totals.pending, problems], [0, []])
  assert.equal(await isSame(installation, rows), false, 'nothing is lost')
  const from = new Date().toISOString()
  const report = await stepUntil(installation, ({ tables }) =>
    tables.every(({ rowsDifferent, verifiedAt }) => rowsDifferent > 0 || (verifiedAt ?? '') > from),
  )
  const found = await listDiffering(context)
  const differing = [...new Set(found.map(({ table }) => table))].sort()
  assert.deepEqual(
    report.problems.map(({ table, code }) => [table, code]),
    differing.map((table) => [table, 'rows-differ']),
  )
  return found.map(({ table, key, kind, columns }) => `${table} ${key.join()} ${kind} ${columns.join()}`).sort()
}

/** What is left of the differing rows, by the command. */
export async function repairAll({ context }: Pick<Installation, 'context'>): Promise<number> {
  const { left } = await repair(context, { tables: [] })
  return left.tables.reduce((sum, { missing, surplus, different }) => sum + missing + surplus + different, 0)
}

/** The repair that verification makes by itself; returns how many rows it has mended. */
export async function repairByItself(installation: Installation): Promise<number> {
  const auto = verifying(installation, 'auto')
  const { verification } = await stepUntil(auto, ({ problems }) => problems.length === 0)
  return verification.rowsRepaired
}
