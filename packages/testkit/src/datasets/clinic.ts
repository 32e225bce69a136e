/**
 * The sample database of a clinic's laboratory: deterministic, made by the server itself in a few seconds, and as dirty
 * as grown production data: zero and partial dates, NUL bytes, an ENUM's error value, misspelt references, a table
 * without a key, one without transactions.
 */
export const CLINIC_PATIENTS = 48_500
export const CLINIC_RESULTS = 70_000

const SESSION = "SET NAMES utf8mb4, sql_mode = '', time_zone = '+00:00', foreign_key_checks = 1"

const NUMBERS = [
  'CREATE TABLE numbers (n INT NOT NULL PRIMARY KEY) ENGINE=InnoDB',
  'INSERT INTO numbers SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d FROM (SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) a, (SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) b, (SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) c, (SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) e, (SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6) f',
]

const TABLES = [
  "CREATE TABLE poli (kode VARCHAR(10) NOT NULL PRIMARY KEY, nama VARCHAR(60) NOT NULL, aktif TINYINT(1) NOT NULL DEFAULT 1) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='outpatient units'",
  'CREATE TABLE dokter (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, nip CHAR(18) NOT NULL, nama VARCHAR(80) NOT NULL, poli VARCHAR(10) NULL, tarif DECIMAL(12,2) NOT NULL DEFAULT 0, UNIQUE KEY nip (nip), CONSTRAINT dokter_poli FOREIGN KEY (poli) REFERENCES poli (kode) ON DELETE SET NULL ON UPDATE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci',
  "CREATE TABLE pasien (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, no_rm VARCHAR(12) NOT NULL, nama VARCHAR(100) NOT NULL, kelamin ENUM('L','P','?') NOT NULL, lahir DATE NOT NULL, gol_darah ENUM('A','B','AB','O') NULL, alergi SET('obat','makanan','debu','lateks') NOT NULL DEFAULT '', alamat TEXT NULL, kontak JSON NULL, terdaftar DATETIME NOT NULL, diubah TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, UNIQUE KEY no_rm (no_rm), KEY nama (nama), KEY lahir (lahir)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
  "CREATE TABLE kunjungan (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, pasien_id INT UNSIGNED NOT NULL, dokter_id INT NULL, masuk DATETIME NOT NULL, keluar DATETIME NULL, status ENUM('antri','periksa','selesai') NOT NULL DEFAULT 'antri', biaya DECIMAL(14,2) NOT NULL DEFAULT 0, KEY (masuk), CONSTRAINT kunjungan_pasien FOREIGN KEY (pasien_id) REFERENCES pasien (id) ON DELETE CASCADE ON UPDATE CASCADE, CONSTRAINT kunjungan_dokter FOREIGN KEY (dokter_id) REFERENCES dokter (id) ON DELETE SET NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
  'CREATE TABLE pemeriksaan (kode VARCHAR(12) NOT NULL PRIMARY KEY, nama VARCHAR(80) NOT NULL, satuan VARCHAR(20) NULL, bawah FLOAT NULL, atas FLOAT NULL, harga DECIMAL(12,2) NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4',
  'CREATE TABLE panel (id SMALLINT UNSIGNED NOT NULL PRIMARY KEY, nama VARCHAR(60) NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4',
  'CREATE TABLE panel_isi (panel_id SMALLINT UNSIGNED NOT NULL, kode VARCHAR(12) NOT NULL, urut TINYINT UNSIGNED NOT NULL, PRIMARY KEY (panel_id, kode), CONSTRAINT panel_isi_panel FOREIGN KEY (panel_id) REFERENCES panel (id) ON DELETE CASCADE, CONSTRAINT panel_isi_kode FOREIGN KEY (kode) REFERENCES pemeriksaan (kode) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4',
  "CREATE TABLE permintaan (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, kunjungan_id INT UNSIGNED NOT NULL, panel_id SMALLINT UNSIGNED NULL, prioritas ENUM('rutin','cito') NOT NULL DEFAULT 'rutin', diminta TIMESTAMP(3) NOT NULL DEFAULT '2001-01-01 00:00:00', catatan VARCHAR(200) NULL, CONSTRAINT permintaan_kunjungan FOREIGN KEY (kunjungan_id) REFERENCES kunjungan (id) ON DELETE CASCADE, CONSTRAINT permintaan_panel FOREIGN KEY (panel_id) REFERENCES panel (id) ON DELETE SET NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
  'CREATE TABLE result (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, permintaan_id INT UNSIGNED NOT NULL, kode VARCHAR(12) NOT NULL, nilai DOUBLE NULL, teks VARCHAR(255) NULL, tanda BIT(4) NOT NULL DEFAULT 0, divalidasi DATETIME(6) NULL, lama TIME NULL, KEY kode (kode), CONSTRAINT result_permintaan FOREIGN KEY (permintaan_id) REFERENCES permintaan (id) ON DELETE CASCADE, CONSTRAINT result_kode FOREIGN KEY (kode) REFERENCES pemeriksaan (kode) ON UPDATE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4',
  'CREATE TABLE lampiran (uuid BINARY(16) NOT NULL PRIMARY KEY, result_id BIGINT UNSIGNED NULL, jenis VARCHAR(40) NOT NULL, isi LONGBLOB NOT NULL, CONSTRAINT lampiran_result FOREIGN KEY (result_id) REFERENCES result (id) ON DELETE SET NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4',
  'CREATE TABLE alat (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, induk INT NULL, nama VARCHAR(60) NOT NULL, setelan JSON NULL, beli YEAR NULL, CONSTRAINT alat_induk FOREIGN KEY (induk) REFERENCES alat (id) ON DELETE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4',
  'CREATE TABLE bayar (no_kuitansi VARCHAR(20) NOT NULL, urut SMALLINT NOT NULL, kunjungan_id INT UNSIGNED NULL, jumlah DECIMAL(14,2) NOT NULL, tunai TINYINT(1) NOT NULL DEFAULT 1, dibayar DATE NULL, PRIMARY KEY (no_kuitansi, urut), CONSTRAINT bayar_kunjungan FOREIGN KEY (kunjungan_id) REFERENCES kunjungan (id) ON DELETE SET NULL ON UPDATE CASCADE) ENGINE=InnoDB DEFAULT CHARSET=latin1',
  'CREATE TABLE log_alat (alat VARCHAR(60), pesan VARCHAR(200), waktu DATETIME) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4',
  'CREATE TABLE arsip_lama (id INT NOT NULL PRIMARY KEY, isi VARCHAR(100)) ENGINE=MyISAM DEFAULT CHARSET=latin1',
  'CREATE TABLE pengaturan (nama VARCHAR(50) NOT NULL PRIMARY KEY, nilai JSON NULL, diubah TIMESTAMP NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4',
]

const ROWS = [
  "INSERT INTO poli SELECT CONCAT(IF(n % 2, 'pol', 'POL'), n), CONCAT('Poliklinik ', n), n % 5 <> 0 FROM numbers WHERE n <= 25",
  "INSERT INTO dokter (nip, nama, poli, tarif) SELECT LPAD(n * 7919, 18, '0'), CONCAT('dr. ', ELT(1 + n % 5, 'Ayu', 'Budi', 'Citra', 'Dewi', 'Élan'), ' ', n), IF(n % 9, CONCAT('Pol', 1 + n % 25), NULL), n * 1250.5 FROM numbers WHERE n <= 240",
  `INSERT INTO pasien (no_rm, nama, kelamin, lahir, gol_darah, alergi, alamat, kontak, terdaftar, diubah) SELECT LPAD(n, 8, '0'), CONCAT(ELT(1 + n % 7, 'Siti', 'Agus', 'Nur', 'Putri', 'Jöran', '李', 'O''Neil'), ' ', n, IF(n % 997 = 0, CHAR(0), '')), ELT(1 + n % 40, '?', 'x') + 0 * n, IF(n % 53 = 0, '0000-00-00', IF(n % 101 = 0, '1970-00-00', DATE_ADD('1930-01-01', INTERVAL n * 13 % 33000 DAY))), ELT(1 + n % 5, 'A', 'B', 'AB', 'O', NULL), n % 16, IF(n % 3, CONCAT('Jl. Merdeka ', n, '\\n', REPEAT('blok ', n % 9)), NULL), IF(n % 4, CONCAT('{"hp": "08', n, '", "wa": ', IF(n % 2, 'true', 'null'), ', "skor": ', n / 8, '}'), NULL), DATE_ADD('2015-01-01', INTERVAL n * 3571 SECOND), DATE_ADD('2020-01-01', INTERVAL n SECOND) FROM numbers WHERE n <= ${CLINIC_PATIENTS}`,
  'UPDATE pasien SET kelamin = 1 + id % 2 WHERE id % 211 <> 0',
  "INSERT INTO kunjungan (pasien_id, dokter_id, masuk, keluar, status, biaya) SELECT 1 + n * 17 % 48500, NULLIF(1 + n % 241, 241), DATE_ADD('2022-01-01', INTERVAL n * 977 SECOND), IF(n % 6, DATE_ADD('2022-01-01', INTERVAL n * 977 + 3600 SECOND), '0000-00-00 00:00:00'), 1 + n % 3, n * 7.25 FROM numbers WHERE n <= 30000",
  "INSERT INTO pemeriksaan SELECT CONCAT('LAB', LPAD(n, 4, '0')), CONCAT('Pemeriksaan ', n), ELT(1 + n % 4, 'mg/dL', 'µmol/L', '%', NULL), n / 7, n / 7 + 10, n * 1000 FROM numbers WHERE n <= 320",
  "INSERT INTO panel SELECT n, CONCAT('Panel ', n) FROM numbers WHERE n <= 40",
  "INSERT INTO panel_isi SELECT 1 + n % 40, CONCAT('LAB', LPAD(1 + n % 320, 4, '0')), n % 30 FROM numbers WHERE n <= 320",
  "INSERT INTO permintaan (kunjungan_id, panel_id, prioritas, diminta, catatan) SELECT 1 + n * 7 % 30000, NULLIF(1 + n % 41, 41), 1 + (n % 11 = 0), DATE_ADD('2022-03-27 00:30:00', INTERVAL n * 1001 * 1000 MICROSECOND), IF(n % 10, NULL, CONCAT('puasa\\t', n, ' jam')) FROM numbers WHERE n <= 35000",
  `INSERT INTO result (permintaan_id, kode, nilai, teks, tanda, divalidasi, lama) SELECT 1 + n * 3 % 35000, CONCAT(IF(n % 500, 'LAB', 'lab'), LPAD(1 + n % 320, 4, '0')), IF(n % 8, n / 7, NULL), IF(n % 8, NULL, CONCAT('positif \\\\ ', n)), n % 16, IF(n % 5, DATE_ADD('2022-04-01', INTERVAL n * 1000003 MICROSECOND), NULL), SEC_TO_TIME(n % 200000) FROM numbers WHERE n <= ${CLINIC_RESULTS}`,
  "INSERT INTO lampiran SELECT UNHEX(LEFT(SHA2(n, 256), 32)), 1 + n * 11 % 70000, ELT(1 + n % 3, 'image/png', 'application/pdf', 'text/plain'), REPEAT(UNHEX(SHA2(n, 256)), 1 + n % 200) FROM numbers WHERE n <= 2500",
  "INSERT INTO alat (id, induk, nama, setelan, beli) SELECT n, NULLIF(n DIV 4, 0), CONCAT('Alat ', n), CONCAT('{\"suhu\": ', n / 4, ', \"kanal\": [', n, ', null, \"\\\\u00e9\"]}'), IF(n % 9, 1990 + n % 30, 0) FROM numbers WHERE n <= 180 ORDER BY n",
  "INSERT INTO bayar SELECT CONCAT('KW', LPAD(n DIV 2, 7, '0')), n % 2, 1 + n % 30000, n * 2.5, n % 3 > 0, IF(n % 37, DATE_ADD('2023-01-01', INTERVAL n % 700 DAY), '2023-02-00') FROM numbers WHERE n <= 24000",
  "INSERT INTO log_alat SELECT CONCAT('Alat ', n % 20), CONCAT('pesan ', n % 150), DATE_ADD('2024-01-01', INTERVAL n % 900 SECOND) FROM numbers WHERE n <= 3000",
  "INSERT INTO arsip_lama SELECT n, CONCAT('arsip ', n) FROM numbers WHERE n <= 4000",
  "INSERT INTO pengaturan SELECT CONCAT('kunci.', n), IF(n % 6, CONCAT('{\"v\": ', n, ', \"v\": \"', n, '\"}'), 'null'), IF(n % 7, '2024-01-01 01:02:03', NULL) FROM numbers WHERE n <= 300",
  'DROP TABLE numbers',
]

/** SQL statements, in order, for an empty utf8mb4 database; no single statement depends on the session beyond the first. */
export const CLINIC_STATEMENTS: readonly string[] = [SESSION, ...NUMBERS, ...TABLES, ...ROWS]
