import type { Installation } from './installation.js'

/** A parent, a child, a grandchild, and a table on which no foreign key acts. */
export const FAMILY = `
  CREATE TABLE p (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  CREATE TABLE c (id INT PRIMARY KEY, pid INT, v INT, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB;
  CREATE TABLE g (id INT PRIMARY KEY, cid INT, FOREIGN KEY (cid) REFERENCES c (id) ON DELETE SET NULL) ENGINE=InnoDB;
  CREATE TABLE other (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
  INSERT INTO p VALUES (1, 1), (2, 2), (3, 3); INSERT INTO c VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3); INSERT INTO g VALUES (1, 1), (2, 2), (3, 3); INSERT INTO other VALUES (1, 1)`

/** Drops the triggers of every table, or of one. */
export async function dropTriggers(app: Installation['app'], table = '%'): Promise<void> {
  const [triggers] = await app.query(
    'SELECT TRIGGER_NAME AS name FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() AND EVENT_OBJECT_TABLE LIKE ?',
    [table],
  )
  for (const { name } of triggers as { name: string }[]) await app.query(`DROP TRIGGER \`${name}\``)
}
