SET NAMES utf8mb4, sql_mode = '';
CREATE TABLE login (name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL PRIMARY KEY, v INT);
INSERT INTO login VALUES ('Ada', 1), ('bob', 2), ('Zoë', 3);
CREATE TABLE grp (id INT NOT NULL PRIMARY KEY, name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, FOREIGN KEY (name) REFERENCES login (name) ON DELETE CASCADE ON UPDATE CASCADE);
INSERT INTO grp VALUES (1, 'ada'), (2, 'BOB'), (3, 'zoe');
