-- Which copy of the table this is: what an opener has prepared for an older one says nothing about it.
ALTER TABLE sync_progress ADD COLUMN copy_no integer NOT NULL DEFAULT 0;
