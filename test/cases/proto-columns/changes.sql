SET sql_mode = '';
UPDATE props SET `__proto__` = 'b' WHERE id = 1;
UPDATE `__proto__` SET v = 22 WHERE `__proto__` = 2;
DELETE FROM `__proto__` WHERE `__proto__` = 1;
UPDATE beside SET v = 2;
