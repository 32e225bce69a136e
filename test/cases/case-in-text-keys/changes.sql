SET sql_mode = '';
UPDATE login SET name = 'ADA' WHERE name = 'ada';
UPDATE login SET v = 22 WHERE name = 'Bob';
DELETE FROM login WHERE name = 'ZOE';
