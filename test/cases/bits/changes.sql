SET sql_mode = '';
UPDATE bits SET one = b'1' WHERE k = b'00000';
UPDATE bits SET k = b'00001' WHERE k = b'11111';
