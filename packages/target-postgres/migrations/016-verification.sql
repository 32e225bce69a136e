-- What verification knows of each table.
CREATE TABLE sync_verification (
  table_name      text COLLATE "C" PRIMARY KEY,
  -- Where the walk of the pass that is under way goes on; null: the next step begins a pass.
  walk            text,
  -- The drain that had opened the table before the last step: an opening after it has read all rows again, so what differed then is not known.
  opened_drain    bigint NOT NULL DEFAULT 0,
  pass_began_at   timestamptz,
  -- The moments of the last full pass, whatever it found: the table of the oldest is the next to be walked.
  passed_since    timestamptz,
  passed_until    timestamptz,
  -- The same of the last one that found all rows equal.
  verified_since  timestamptz,
  verified_until  timestamptz,
  -- How often a command has compared the table as a whole: a step that began before does not know what it found.
  replaced        bigint NOT NULL DEFAULT 0,
  -- Rows that differ, as far as they are known; `repaired`: of those that did, since the installation.
  rows_different  bigint NOT NULL DEFAULT 0,
  rows_repaired   bigint NOT NULL DEFAULT 0
);
INSERT INTO sync_verification (table_name, opened_drain, passed_since, passed_until, verified_since, verified_until)
  SELECT table_name, opened_drain, verified_at, verified_at, verified_at, verified_at FROM sync_progress WHERE verified_at IS NOT NULL;
-- Of the rows that differ, the first of each table.
CREATE TABLE sync_verification_key (
  table_name  text COLLATE "C" NOT NULL,
  -- null: a row of the target that no key of the source can name.
  row_key     text COLLATE "C",
  key_texts   text[] NOT NULL,
  kind        text NOT NULL CHECK (kind IN ('missing', 'surplus', 'different')),
  columns     text[] NOT NULL,
  found_at    timestamptz NOT NULL DEFAULT now(),
  -- A repair has made the key dirty, and its outcome is not recorded yet.
  tried       boolean NOT NULL DEFAULT false
);
CREATE INDEX sync_verification_key_table ON sync_verification_key (table_name);
-- How long the last step took and, by this server's clock, when the next may begin: all processes together keep to one share of the time.
CREATE TABLE sync_verification_pace (
  only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  step_ms     double precision NOT NULL DEFAULT 0,
  pause_ms    double precision NOT NULL DEFAULT 0,
  next_at     timestamptz NOT NULL DEFAULT now(),
  -- Sums of the last steps, halved once they spread over two hours; the time includes pauses, and none that no process worked in.
  worked_ms   double precision NOT NULL DEFAULT 0,
  span_ms     double precision NOT NULL DEFAULT 0,
  rows        double precision NOT NULL DEFAULT 0
);
CREATE TABLE sync_lock_verify ();
