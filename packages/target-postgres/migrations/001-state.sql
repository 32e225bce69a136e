-- The state of one installation. PostgreSQL is the truth; every other store carries hints. Migrations only expand.
CREATE TABLE sync_progress (
  table_name      text COLLATE "C" PRIMARY KEY,
  state           text NOT NULL,
  rows_synced     bigint NOT NULL DEFAULT 0,
  rows_failed     bigint NOT NULL DEFAULT 0,
  estimated_rows  bigint NOT NULL DEFAULT 0,
  generation      text,
  plan_bound      text COLLATE "C",
  planned         boolean NOT NULL DEFAULT false,
  problem         text,
  verified_at     timestamptz,
  started_at      timestamptz NOT NULL DEFAULT now(),
  updated_at      timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE sync_chunk (
  table_name  text COLLATE "C" NOT NULL,
  chunk_no    integer NOT NULL,
  lower_key   text COLLATE "C",
  upper_key   text COLLATE "C",
  state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done')),
  rows        bigint,
  failed      bigint,
  done_at     timestamptz,
  PRIMARY KEY (table_name, chunk_no)
);
CREATE INDEX sync_chunk_open ON sync_chunk (table_name, chunk_no) WHERE state = 'open';
-- Keyed by drain too: with one row a key, a newer entry would vanish with the older one.
CREATE TABLE sync_parked (
  table_name     text COLLATE "C" NOT NULL,
  row_key        text COLLATE "C" NOT NULL,
  drain_no       bigint NOT NULL,
  reason         text NOT NULL CHECK (reason IN ('closed', 'quarantined')),
  is_start       boolean NOT NULL,
  since          timestamptz NOT NULL DEFAULT now(),
  attempts       integer NOT NULL DEFAULT 0,
  error_code     text,
  error_message  text,
  PRIMARY KEY (table_name, row_key, drain_no, reason)
);
CREATE INDEX sync_parked_quarantined ON sync_parked (table_name) WHERE reason = 'quarantined';
CREATE TABLE sync_error_log (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at             timestamptz NOT NULL DEFAULT now(),
  table_name     text NOT NULL,
  row_key        text,
  error_code     text NOT NULL,
  error_message  text NOT NULL
);
CREATE TABLE sync_sanitised (
  table_name   text COLLATE "C" NOT NULL,
  column_name  text COLLATE "C" NOT NULL,
  rule         text NOT NULL,
  rows         bigint NOT NULL,
  last_at      timestamptz NOT NULL DEFAULT now(),
  sample_keys  text[] NOT NULL,
  PRIMARY KEY (table_name, column_name, rule)
);
CREATE TABLE sync_drain (
  only_row         boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  number           bigint NOT NULL,
  consistent_as_of timestamptz,
  source_identity  text,
  committed_at     timestamptz NOT NULL DEFAULT now()
);
INSERT INTO sync_drain (number) VALUES (0);
-- The keys of the last drains: what is read again when the source has lost their marks.
CREATE TABLE sync_drain_key (
  drain_no    bigint NOT NULL,
  table_name  text COLLATE "C" NOT NULL,
  row_key     text COLLATE "C" NOT NULL,
  is_start    boolean NOT NULL,
  PRIMARY KEY (drain_no, table_name, row_key)
);
CREATE TABLE sync_constraint (
  table_name  text COLLATE "C" NOT NULL,
  name        text COLLATE "C" NOT NULL,
  kind        text NOT NULL,
  state       text NOT NULL CHECK (state IN ('validated', 'not-valid', 'suspended')),
  detail      text,
  since       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (table_name, name)
);
