SET sql_mode = '';
UPDATE mood SET e = 'none', n = 'none' WHERE id = 1;
UPDATE mood SET e = 'down' WHERE id = 2;
