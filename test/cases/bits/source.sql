SET NAMES utf8mb4, sql_mode = '';
CREATE TABLE bits (k BIT(5) NOT NULL PRIMARY KEY, one BIT(1), all_of BIT(64), d BIT(4) DEFAULT b'1010');
INSERT INTO bits (k, one, all_of) VALUES (b'00000', b'0', 0), (b'10101', b'1', 0xFFFFFFFFFFFFFFFF), (b'11111', NULL, 0x8000000000000000);
