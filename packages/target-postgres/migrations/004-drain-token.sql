-- What each of the last drains left at the source together with its number: two targets that were one give the same
-- number to different drains, never the same token.
CREATE TABLE sync_drain_token (
  drain_no  bigint PRIMARY KEY,
  token     text COLLATE "C" NOT NULL
);
INSERT INTO sync_drain_token SELECT number, md5(random()::text || clock_timestamp()::text) FROM sync_drain;
