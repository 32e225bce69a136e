SET NAMES utf8mb4, sql_mode = '';
CREATE TABLE place (id INT NOT NULL PRIMARY KEY, pos INT, name VARCHAR(20), UNIQUE KEY u (pos), UNIQUE KEY p (name(2)));
INSERT INTO place VALUES (1, 1, 'aa1'), (2, 2, 'bb2'), (3, 3, 'cc3'), (4, NULL, 'dd4'), (5, NULL, NULL);
