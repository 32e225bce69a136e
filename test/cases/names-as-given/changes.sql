SET sql_mode = '';
UPDATE `Select` SET `xmin` = 33, `größe` = 44;
INSERT INTO `with space` VALUES (2, 3, 4);
UPDATE `with space` SET `it's` = 5 WHERE `it's` = 1;
