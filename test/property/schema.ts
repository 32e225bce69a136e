/** Tables that cover every shape of foreign key action that the closure must follow. Small, so that writers collide. */
export const SCHEMA = `
CREATE TABLE p (id INT NOT NULL PRIMARY KEY, code VARCHAR(20) NOT NULL, u INT NOT NULL, v INT, UNIQUE KEY (code), UNIQUE KEY (u)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
CREATE TABLE c (id INT NOT NULL PRIMARY KEY, pid INT NOT NULL, v INT, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB;
CREATE TABLE g (id INT NOT NULL PRIMARY KEY, cid INT NOT NULL, v INT, FOREIGN KEY (cid) REFERENCES c (id) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB;
CREATE TABLE n (id INT NOT NULL PRIMARY KEY, pid INT NULL, v INT, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE SET NULL ON UPDATE CASCADE) ENGINE=InnoDB;
CREATE TABLE k (pid INT NOT NULL PRIMARY KEY, v INT, FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB;
CREATE TABLE kk (id INT NOT NULL PRIMARY KEY, kid INT NULL, v INT, FOREIGN KEY (kid) REFERENCES k (pid) ON DELETE SET NULL ON UPDATE CASCADE) ENGINE=InnoDB;
CREATE TABLE bc (id INT NOT NULL PRIMARY KEY, code VARCHAR(20) NULL, v INT, CONSTRAINT bc_code FOREIGN KEY (code) REFERENCES p (code) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
CREATE TABLE m (pid INT NOT NULL, x INT NOT NULL, v INT, PRIMARY KEY (pid, x), FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB;
CREATE TABLE mm (id INT NOT NULL PRIMARY KEY, pid INT NULL, x INT NULL, v INT, FOREIGN KEY (pid, x) REFERENCES m (pid, x) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB;
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, up INT NULL, v INT, FOREIGN KEY (up) REFERENCES t (id) ON DELETE CASCADE) ENGINE=InnoDB;
CREATE TABLE s (k VARCHAR(20) NOT NULL PRIMARY KEY, v INT) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
CREATE TABLE sc (id INT NOT NULL PRIMARY KEY, k VARCHAR(20) NULL, v INT, CONSTRAINT sc_k FOREIGN KEY (k) REFERENCES s (k) ON DELETE SET NULL ON UPDATE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
CREATE TABLE sb (k VARCHAR(20) NOT NULL PRIMARY KEY, v INT) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE sbc (id INT NOT NULL PRIMARY KEY, k VARCHAR(20) NULL, v INT, CONSTRAINT sbc_k FOREIGN KEY (k) REFERENCES sb (k) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE pre (id INT NOT NULL PRIMARY KEY, w VARCHAR(20) NOT NULL, UNIQUE KEY w (w(3))) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE nk (a INT, b INT) ENGINE=InnoDB;
`

/** Makes every child spell its reference as its parent does. */
export const RESPELL = [
  "DELETE FROM s WHERE k COLLATE utf8mb4_bin NOT REGEXP '^a[0-9]+$'",
  'UPDATE sc JOIN s ON sc.k = s.k SET sc.k = s.k',
  'UPDATE sbc JOIN sb ON sbc.k = sb.k SET sbc.k = sb.k',
  'UPDATE bc JOIN p ON bc.code = p.code SET bc.code = p.code',
]

export const KEYS = 50
export const TABLES = [
  'p',
  'c',
  'g',
  'n',
  'k',
  'kk',
  'bc',
  'm',
  'mm',
  't',
  's',
  'sc',
  'sb',
  'sbc',
  'pre',
  'nk',
] as const

/** How many of the first columns are the key. */
export const KEY_COLUMNS: Readonly<Record<(typeof TABLES)[number], number>> = {
  ...(Object.fromEntries(TABLES.map((table) => [table, 1])) as Record<(typeof TABLES)[number], number>),
  m: 2,
  nk: 0,
}

/** Every column as text; both servers print these types alike. */
export const COLUMNS: Readonly<Record<(typeof TABLES)[number], readonly string[]>> = {
  p: ['id', 'code', 'u', 'v'],
  c: ['id', 'pid', 'v'],
  g: ['id', 'cid', 'v'],
  n: ['id', 'pid', 'v'],
  k: ['pid', 'v'],
  kk: ['id', 'kid', 'v'],
  bc: ['id', 'code', 'v'],
  m: ['pid', 'x', 'v'],
  mm: ['id', 'pid', 'x', 'v'],
  t: ['id', 'up', 'v'],
  s: ['k', 'v'],
  sc: ['id', 'k', 'v'],
  sb: ['k', 'v'],
  sbc: ['id', 'k', 'v'],
  pre: ['id', 'w'],
  nk: ['a', 'b'],
}
