-- When each of the last drains committed, for verification of the keys that they carried since a given time. Drains before this
-- migration count as committed now.
ALTER TABLE sync_drain_token ADD COLUMN recorded_at timestamptz NOT NULL DEFAULT now();
