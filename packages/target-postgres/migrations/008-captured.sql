-- Triggers were made for the table: where they are missing, changes may have gone unnoticed.
ALTER TABLE sync_progress ADD COLUMN captured boolean NOT NULL DEFAULT false;
UPDATE sync_progress SET captured = true WHERE state NOT IN ('discovered', 'refused', 'copied');
