SET sql_mode = '';
UPDATE rate SET cents = cents + 1;
UPDATE rate SET zone = 'north' WHERE weight = 2 AND cls = 'a';
DELETE FROM rate WHERE weight = 2 AND zone = 'south';
UPDATE flags SET v = v + 10;
UPDATE flags SET f = 'y' WHERE f = 'x';
DELETE FROM flags WHERE f = '';
