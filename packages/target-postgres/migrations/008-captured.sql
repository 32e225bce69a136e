-- False: its copy was asked for without triggers, and none stood when it began.
ALTER TABLE sync_progress ADD COLUMN captured boolean NOT NULL DEFAULT true;
