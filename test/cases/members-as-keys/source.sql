SET NAMES utf8mb4, sql_mode = '';
CREATE TABLE rate (zone ENUM('north','','south') NOT NULL, weight INT NOT NULL, cls ENUM('b','a') NOT NULL, cents INT, PRIMARY KEY (weight, zone, cls));
INSERT INTO rate VALUES ('north', 1, 'b', 10), ('', 1, 'a', 20), ('south', 2, 'b', 30), ('south', 2, 'a', 40);
CREATE TABLE flags (f SET('x','y','z') NOT NULL PRIMARY KEY, v INT);
INSERT INTO flags VALUES ('', 0), ('x', 1), ('x,z', 5), ('x,y,z', 7);
CREATE TABLE quote_of (id INT NOT NULL PRIMARY KEY, weight INT, zone ENUM('north','','south'), cls ENUM('b','a'), FOREIGN KEY (weight, zone, cls) REFERENCES rate (weight, zone, cls) ON DELETE SET NULL ON UPDATE CASCADE);
INSERT INTO quote_of VALUES (1, 1, 'north', 'b'), (2, 2, 'south', 'a'), (3, 2, 'south', 'b');
