SET NAMES utf8mb4, sql_mode = '';
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v VARCHAR(40), s SET('NULL','nil','a"b','c\\d'));
INSERT INTO t VALUES (1, NULL, NULL), (2, 'NULL', 'NULL'), (3, '', ''), (4, '\\N', 'NULL,nil'), (5, 'tab\tand\nline\r', 'a"b,c\\d'), (6, '\\.', 'nil');
