SET NAMES utf8mb4, sql_mode = '';
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v VARCHAR(20), x TEXT, r VARCHAR(20), q VARCHAR(20));
INSERT INTO t VALUES (1, CONCAT('a', CHAR(0), 'b'), CHAR(0), CONCAT('a', CHAR(0)), 'fine'), (2, 'clean', 'clean', 'clean', CONCAT(CHAR(0), 'bad')), (3, '', NULL, CONCAT(CHAR(0), CHAR(0)), NULL);
