SET NAMES utf8mb4, sql_mode = '';
CREATE TABLE span (t TIME(3) NOT NULL PRIMARY KEY, u TIME, v INT);
INSERT INTO span VALUES ('-838:59:59', '838:59:59', 1), ('00:00:00.001', '-00:00:01', 2), ('24:00:00', '23:59:59', 3), ('100:00:00.5', NULL, 4);
