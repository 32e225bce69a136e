SET NAMES utf8mb4, sql_mode = '';
CREATE TABLE doc (id INT NOT NULL PRIMARY KEY, j JSON);
INSERT INTO doc VALUES (1, '{"b": 1, "a": [1, 2, {"c": null}]}'), (2, '"text \\u00e9"'), (3, '12345678901234567890'), (4, 'true'), (5, NULL), (6, '[]');
