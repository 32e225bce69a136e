-- Of the triggers that have kept a table's changes since its copy began: those that are made anew have another one. Null: not read yet.
ALTER TABLE sync_progress ADD COLUMN capture_sign text;
