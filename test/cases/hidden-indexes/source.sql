SET NAMES utf8mb4, sql_mode = '';
CREATE TABLE one_hidden (a INT NOT NULL, b INT NOT NULL, v INT, UNIQUE KEY z (a, b), UNIQUE KEY k (b));
ALTER TABLE one_hidden ALTER INDEX k IGNORED;
INSERT INTO one_hidden VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3);
CREATE TABLE later (a INT NOT NULL, b INT NOT NULL, v INT, UNIQUE KEY z (a, b), UNIQUE KEY k (b));
INSERT INTO later VALUES (1, 1, 1), (2, 2, 2);
