-- The drain that opened a table: a source that is put back to before it has lost what the table's chunks may hold.
ALTER TABLE sync_progress ADD COLUMN opened_drain bigint NOT NULL DEFAULT 0;
