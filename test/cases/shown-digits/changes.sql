SET sql_mode = '';
UPDATE lab SET d = 0.111111 WHERE id = 2;
ALTER TABLE gets_digits MODIFY d DOUBLE(8,2);
UPDATE beside SET v = 2;
