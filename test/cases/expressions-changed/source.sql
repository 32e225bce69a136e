SET NAMES utf8mb4, sql_mode = '';
CREATE TABLE bill (id INT NOT NULL PRIMARY KEY, net INT, gross INT AS (net * 2) VIRTUAL);
INSERT INTO bill (id, net) VALUES (1, 10), (2, 20);
CREATE TABLE beside (id INT NOT NULL PRIMARY KEY, v INT);
INSERT INTO beside VALUES (1, 1);
