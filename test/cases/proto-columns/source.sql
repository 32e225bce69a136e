SET NAMES utf8mb4, sql_mode = '';
CREATE TABLE props (id INT NOT NULL PRIMARY KEY, `__proto__` VARCHAR(20), `constructor` INT, `toString` INT, `hasOwnProperty` INT);
INSERT INTO props VALUES (1, 'a', 1, 2, 3), (2, NULL, NULL, NULL, NULL);
CREATE TABLE `__proto__` (`__proto__` INT NOT NULL PRIMARY KEY, v INT);
INSERT INTO `__proto__` VALUES (1, 1), (2, 2);
CREATE TABLE beside (id INT NOT NULL PRIMARY KEY, v INT);
INSERT INTO beside VALUES (1, 1);
