SET NAMES utf8mb4, sql_mode = '';
CREATE TABLE `Select` (`Order` INT NOT NULL PRIMARY KEY, `a "quoted" one` INT, `xmin` INT, `größe` INT);
INSERT INTO `Select` VALUES (1, 2, 3, 4);
CREATE TABLE `with space` (`it's` INT NOT NULL PRIMARY KEY, `back\slash` INT, `per%cent` INT);
INSERT INTO `with space` VALUES (1, 2, 3);
