SET NAMES utf8mb4, sql_mode = '';
CREATE TABLE person (id INT NOT NULL PRIMARY KEY, first VARCHAR(20), last VARCHAR(20));
INSERT INTO person VALUES (1, 'Curie', 'Marie'), (2, 'Noether', 'Emmy');
CREATE TABLE pairs (a INT NOT NULL, b INT NOT NULL, v INT, PRIMARY KEY (a, b));
INSERT INTO pairs VALUES (1, 2, 12), (3, 4, 34);
CREATE TABLE heir (id INT NOT NULL PRIMARY KEY, old INT, new INT);
INSERT INTO heir VALUES (1, 10, 11);
CREATE TABLE beside (id INT NOT NULL PRIMARY KEY, v INT);
INSERT INTO beside VALUES (1, 1);
