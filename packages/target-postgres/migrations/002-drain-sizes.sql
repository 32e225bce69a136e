-- How many keys each of the last drains has, so that what is kept of them is bounded by keys as well as by drains.
CREATE TABLE sync_drain_size (
  drain_no  bigint PRIMARY KEY,
  keys      bigint NOT NULL
);
-- The keys of all drains from this one on are still kept.
ALTER TABLE sync_drain ADD COLUMN keys_from bigint NOT NULL DEFAULT 0;
UPDATE sync_drain SET keys_from = greatest(0, number - 199);
