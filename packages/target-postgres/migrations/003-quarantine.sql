-- How a quarantined row looked when it was refused, and the audit entry that stays unsynced for it.
ALTER TABLE sync_parked ADD COLUMN operation text, ADD COLUMN digest text, ADD COLUMN entry_id bigint;
ALTER TABLE sync_error_log ADD COLUMN operation text, ADD COLUMN attempts integer NOT NULL DEFAULT 1;
-- The values of quarantined rows by which children may reference them through other columns than the key, as last read.
CREATE TABLE sync_quarantined_reference (
  table_name   text COLLATE "C" NOT NULL,
  row_key      text COLLATE "C" NOT NULL,
  child_table  text COLLATE "C" NOT NULL,
  edge         text COLLATE "C" NOT NULL,
  tokens       text[] COLLATE "C" NOT NULL,
  PRIMARY KEY (table_name, row_key, child_table, edge)
);
-- References to rows of open parents that may have changed rows of a child table while it was not open.
CREATE TABLE sync_parked_parent (
  child_table  text COLLATE "C" NOT NULL,
  edge         text COLLATE "C" NOT NULL,
  tokens       text[] COLLATE "C" NOT NULL,
  drain_no     bigint NOT NULL,
  PRIMARY KEY (child_table, edge, tokens)
);
-- Chunks of such a table are merged into rows that are there already.
ALTER TABLE sync_progress ADD COLUMN in_place boolean NOT NULL DEFAULT false, ADD COLUMN content_sign text,
  ADD COLUMN asked boolean NOT NULL DEFAULT false;
