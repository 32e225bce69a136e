-- A small clinic, loaded once into an empty source.
SET NAMES utf8mb4;
CREATE TABLE patient (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(80) NOT NULL,
  born DATE NULL,
  active TINYINT(1) NOT NULL DEFAULT 1,
  UNIQUE KEY patient_name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE visit (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  patient_id INT UNSIGNED NOT NULL,
  at DATETIME(3) NOT NULL,
  kind ENUM('new','check','urgent') NOT NULL DEFAULT 'check',
  KEY visit_patient (patient_id),
  CONSTRAINT visit_patient FOREIGN KEY (patient_id) REFERENCES patient (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE result (
  visit_id BIGINT UNSIGNED NOT NULL,
  test CHAR(6) NOT NULL,
  value DECIMAL(10,3) NULL,
  note TEXT NULL,
  PRIMARY KEY (visit_id, test),
  CONSTRAINT result_visit FOREIGN KEY (visit_id) REFERENCES visit (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO patient (name, born) SELECT CONCAT('Patient ', seq), DATE_ADD('1950-01-01', INTERVAL seq * 7 DAY) FROM seq_1_to_2000;
INSERT INTO visit (patient_id, at, kind)
  SELECT 1 + seq % 2000, DATE_ADD('2024-01-01', INTERVAL seq * 613 SECOND), ELT(1 + seq % 3, 'new', 'check', 'urgent') FROM seq_1_to_8000;
INSERT INTO result (visit_id, test, value)
  SELECT v.id, t.name, IF(v.id % 9, v.id / 7, NULL) FROM visit v JOIN (SELECT 'HB' AS name UNION ALL SELECT 'WBC' UNION ALL SELECT 'GLU') t;
