import { drain, loadModel, verify, type VerifyReport } from '@mylab-sync/engine'
import type { ServerSet } from '@mylab-sync/testkit'
import { createInstallation, unwatched } from '../support/installation.js'
import { intercept, type Point } from '../support/intercept.js'

const SCHEMA = `
  CREATE TABLE p (id INT PRIMARY KEY) ENGINE=InnoDB;
  CREATE TABLE m (pid INT, x INT, PRIMARY KEY (pid, x), FOREIGN KEY (pid) REFERENCES p (id) ON UPDATE CASCADE) ENGINE=InnoDB;
  CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  INSERT INTO p VALUES (1), (2);
  INSERT INTO m VALUES (1, 1), (2, 1);
  INSERT INTO a VALUES (1, 1), (2, 1), (3, 1), (4, 1)`

/** The pass's own snapshot of the source is the first one that is opened under the drain's lock. */
const PASS_OPENS = 'drain.openSnapshot:before'
const PASS_OPENED = 'drain.openSnapshot:after'
const DRAIN_COMMITTED = 'drain.commit:after'
const TARGET_OPENS = 'target.beginSnapshot:before'

export const SCENES = {
  'a row changes between the two snapshots of the source': { [PASS_OPENED]: 'UPDATE a SET v = v + 1 WHERE id = 1' },
  'a row changes after the drain': { [DRAIN_COMMITTED]: 'UPDATE a SET v = v + 1 WHERE id = 2' },
  'another process drains before the target is looked at': {
    [TARGET_OPENS]: 'UPDATE a SET v = v + 1 WHERE id = 3; DELETE FROM a WHERE id = 4; INSERT INTO a VALUES (4, 9)',
  },
  'cascades give a row a key for a while': {
    [PASS_OPENS]: 'UPDATE p SET id = 50 WHERE id = 1',
    [PASS_OPENED]: 'UPDATE p SET id = 1 WHERE id = 50',
  },
} as const satisfies Record<string, Partial<Record<Point, string>>>

export type Scene = keyof typeof SCENES

export function reportedKeys(report: VerifyReport): string[] {
  return report.tables
    .flatMap(({ table, keys }) =>
      keys.map(({ key, kind, columns }) => `${table} ${key.join()} ${kind} ${columns.join()}`),
    )
    .sort()
}

/** What a pass reports in each scene, with one row of the target deleted by hand. */
export async function playScenes(servers: ServerSet, name: string): Promise<Record<string, readonly string[]>> {
  await using installation = await createInstallation(servers, name, { schema: SCHEMA, copied: true })
  const { app, context, reader } = installation
  const other = unwatched(installation).context
  await reader.query('DELETE FROM m WHERE pid = 2')
  const reported: Record<string, readonly string[]> = {}
  for (const [scene, acts] of Object.entries(SCENES)) {
    const left: Partial<Record<Point, string>> = { ...acts }
    const watched = intercept(context, async ({ point }) => {
      const act = left[point]
      delete left[point]
      if (act === undefined) return
      await app.query(act)
      if (point === TARGET_OPENS) await drain(other, await loadModel(other))
    })
    reported[scene] = reportedKeys(await verify(watched, { tables: [] }))
    if (Object.keys(left).length > 0) throw new Error(`not reached: ${Object.keys(left).join()}`)
  }
  return reported
}
