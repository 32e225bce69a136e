SET NAMES utf8mb4, sql_mode = '';
CREATE TABLE mood (id INT NOT NULL PRIMARY KEY, e ENUM('up','down'), n ENUM('up','down'), real_empty ENUM('','x') NOT NULL);
INSERT INTO mood VALUES (1, 'up', 'down', 'x'), (2, 'sideways', 'sideways', ''), (3, NULL, NULL, 'sideways');
