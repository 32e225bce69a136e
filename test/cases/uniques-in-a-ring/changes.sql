SET sql_mode = '';
BEGIN;
UPDATE place SET pos = 0 WHERE id = 1; UPDATE place SET pos = 1 WHERE id = 2; UPDATE place SET pos = 2 WHERE id = 3; UPDATE place SET pos = 3 WHERE id = 1;
UPDATE place SET name = 'x' WHERE id = 1; UPDATE place SET name = 'aaX' WHERE id = 2; UPDATE place SET name = 'bbX' WHERE id = 3; UPDATE place SET name = 'ccX' WHERE id = 1;
COMMIT;
