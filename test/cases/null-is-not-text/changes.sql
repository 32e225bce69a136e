SET sql_mode = '';
UPDATE t SET v = NULL, s = NULL WHERE id = 2;
UPDATE t SET v = 'NULL', s = 'NULL' WHERE id = 1;
