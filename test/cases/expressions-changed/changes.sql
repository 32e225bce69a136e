SET sql_mode = '';
ALTER TABLE bill MODIFY gross INT AS (net * 3) VIRTUAL;
UPDATE beside SET v = 2;
