-- The chain of verification reports. Each file names the digest of the report before; kept here, the chain survives lost files.
CREATE TABLE sync_report (
  number      bigint PRIMARY KEY CHECK (number > 0),
  -- SHA-256 of the report's canonical JSON, in hexadecimal digits.
  digest      text COLLATE "C" NOT NULL,
  written_at  timestamptz NOT NULL DEFAULT now()
);
