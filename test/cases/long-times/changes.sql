SET sql_mode = '';
UPDATE span SET v = v + 10;
UPDATE span SET t = '-24:00:00' WHERE t = '24:00:00';
DELETE FROM span WHERE t = '-838:59:59';
