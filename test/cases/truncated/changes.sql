SET sql_mode = '';
TRUNCATE import;
INSERT INTO import (v) VALUES (10), (20);
TRUNCATE emptied;
UPDATE beside SET v = 2;
