SET sql_mode = '';
UPDATE site SET id = 9 WHERE id = 1;
DELETE FROM site WHERE id = 2;
UPDATE room SET no = 32 WHERE no = 31;
UPDATE room SET v = 33 WHERE no = 30;
