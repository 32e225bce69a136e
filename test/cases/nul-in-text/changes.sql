SET sql_mode = '';
UPDATE t SET q = 'good' WHERE id = 2;
INSERT INTO t VALUES (4, CONCAT(CHAR(0), 'z'), NULL, NULL, NULL);
