SET sql_mode = '';
UPDATE vb SET v = v + 10;
DELETE FROM vb WHERE k = X'00';
UPDATE vb SET k = X'000001' WHERE k = X'0000';
UPDATE b SET v = v + 10 WHERE n = 1;
