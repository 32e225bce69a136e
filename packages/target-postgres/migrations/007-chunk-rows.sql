-- Asked for with a copy, and kept for whoever plans its chunks; null: as many rows as bytes allow.
ALTER TABLE sync_progress ADD COLUMN chunk_rows integer;
