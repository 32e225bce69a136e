import { type EngineContext, verify } from '@mylab-sync/engine'
import type { ServerSet } from '@mylab-sync/testkit'
import { connect, OPTIONS } from '../support/connect.js'
import { reportedKeys } from './verify-scenes.js'

export const SCHEMA = `
  CREATE TABLE another (id INT PRIMARY KEY, a INT, z INT) ENGINE=InnoDB;
  CREATE TABLE bare (a INT, b VARCHAR(9)) ENGINE=InnoDB;
  CREATE TABLE crossed (id INT PRIMARY KEY, a INT, b INT) ENGINE=InnoDB;
  CREATE TABLE emptied (id INT PRIMARY KEY, t VARCHAR(9)) ENGINE=InnoDB;
  CREATE TABLE lacking (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE shown (id INT PRIMARY KEY, f FLOAT(7,2)) ENGINE=InnoDB;
  CREATE TABLE swapped (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  INSERT INTO another VALUES (1, 1, 1), (2, 2, 2);
  INSERT INTO bare VALUES (1, 'x'), (1, 'x'), (2, NULL);
  INSERT INTO crossed VALUES (1, 1, 2), (2, 3, 4);
  INSERT INTO emptied VALUES (1, NULL), (2, 'a');
  INSERT INTO lacking VALUES (1, 1), (2, 2);
  INSERT INTO shown VALUES (1, 1.25), (2, 2.5);
  INSERT INTO swapped VALUES (1, 1), (2, 2)`

/** A difference per table. */
export const SPOIL = `
  UPDATE another SET z = 9 WHERE id = 1;
  UPDATE bare SET b = 'y' WHERE a = 2;
  UPDATE crossed SET a = b, b = a WHERE id = 1;
  UPDATE emptied SET t = '' WHERE id = 1;
  DELETE FROM lacking WHERE id = 1;
  UPDATE shown SET f = 1.5 WHERE id = 1;
  UPDATE swapped SET v = 3 - v`

/** What a comparison of all tables reports: of those without a key, their name and the numbers of rows. */
export async function reported(servers: ServerSet, name: string): Promise<string[]> {
  await using sides = await connect(servers, name)
  const context: EngineContext = { source: sides.source, target: sides.target, options: OPTIONS }
  const report = await verify(context, { tables: [] })
  const keyless = report.tables
    .filter(({ table, equal }) => table === 'bare' && !equal)
    .map(({ table, missing, surplus }) => `${table} ${missing} missing ${surplus} surplus`)
  return [...reportedKeys(report), ...keyless].sort()
}
