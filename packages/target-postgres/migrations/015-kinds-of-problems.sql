-- What a program decides by stands beside the sentence that people read; until now it was read out of the sentence.
-- True: the table goes on only once somebody has run the statements that `problem` names.
ALTER TABLE sync_progress ADD COLUMN waits boolean NOT NULL DEFAULT false;
UPDATE sync_progress SET waits = true WHERE problem LIKE 'waits for: %';
-- False: the user's own constraint. Nobody but whoever made it makes it again, so it stays on record.
ALTER TABLE sync_constraint ADD COLUMN owned boolean NOT NULL DEFAULT true;
UPDATE sync_constraint SET owned = false WHERE strpos(detail, '; it is not one of the source') > 0;
