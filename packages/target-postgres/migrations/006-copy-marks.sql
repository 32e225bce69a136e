-- What a table's chunks and catch-up slices have left at the source: a source that lacks one has lost what they have read.
CREATE TABLE sync_copy_mark (
  table_name  text COLLATE "C" NOT NULL,
  token       text COLLATE "C" NOT NULL,
  PRIMARY KEY (table_name, token)
);
