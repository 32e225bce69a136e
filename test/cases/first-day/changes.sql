SET sql_mode = '';
UPDATE day SET v = v + 10;
DELETE FROM day WHERE d = '0001-01-01';
UPDATE day SET d = '2020-03-01' WHERE d = '0000-00-00';
DELETE FROM moment WHERE t = '0000-00-00 00:00:00';
