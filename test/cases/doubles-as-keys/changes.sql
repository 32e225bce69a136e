SET sql_mode = '';
UPDATE spot SET n = n + 10;
DELETE FROM spot WHERE lat = -0.12345678901234568;
UPDATE sensor SET n = n + 10;
