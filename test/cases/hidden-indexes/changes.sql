SET sql_mode = '';
UPDATE one_hidden SET v = 22 WHERE a = 2;
DELETE FROM one_hidden WHERE a = 3;
ALTER TABLE later ALTER INDEX k IGNORED;
UPDATE later SET v = 11 WHERE a = 1;
