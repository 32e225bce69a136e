-- An entry of a btree takes 2,704 bytes and a key of the source may have 6,144 characters: of a long one the index holds the
-- digest. Keys are ASCII without a backslash, so that each is its own bytea.
ALTER TABLE sync_parked DROP CONSTRAINT sync_parked_pkey;
CREATE UNIQUE INDEX sync_parked_key ON sync_parked (table_name,
  (CASE WHEN octet_length(row_key) > 512 THEN '#' || encode(sha256(decode(row_key, 'escape')), 'hex') ELSE row_key END), drain_no, reason);
ALTER TABLE sync_drain_key DROP CONSTRAINT sync_drain_key_pkey;
CREATE UNIQUE INDEX sync_drain_key_key ON sync_drain_key (drain_no, table_name,
  (CASE WHEN octet_length(row_key) > 512 THEN '#' || encode(sha256(decode(row_key, 'escape')), 'hex') ELSE row_key END));
ALTER TABLE sync_quarantined_reference DROP CONSTRAINT sync_quarantined_reference_pkey;
CREATE UNIQUE INDEX sync_quarantined_reference_key ON sync_quarantined_reference (table_name,
  (CASE WHEN octet_length(row_key) > 512 THEN '#' || encode(sha256(decode(row_key, 'escape')), 'hex') ELSE row_key END), child_table, edge);
-- The values as one text, or its digest.
ALTER TABLE sync_parked_parent ADD COLUMN tokens_id text COLLATE "C";
UPDATE sync_parked_parent SET tokens_id = CASE WHEN octet_length(array_to_string(tokens, ',')) > 512
  THEN '#' || encode(sha256(decode(array_to_string(tokens, ','), 'escape')), 'hex') ELSE array_to_string(tokens, ',') END;
ALTER TABLE sync_parked_parent DROP CONSTRAINT sync_parked_parent_pkey, ADD PRIMARY KEY (child_table, edge, tokens_id);
