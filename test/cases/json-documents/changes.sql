SET sql_mode = '';
UPDATE doc SET j = '{"k": "v"}' WHERE id = 4;
DELETE FROM doc WHERE id = 6;
