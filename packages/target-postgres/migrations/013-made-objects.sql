-- What was made of each table, as it was defined then: of that, what the source defines otherwise or not at all any more goes, and nothing of the user's does.
CREATE TABLE sync_object (
  table_name  text COLLATE "C" NOT NULL,
  kind        text NOT NULL,
  name        text COLLATE "C" NOT NULL,
  definition  text COLLATE "C" NOT NULL,
  -- wanted: made once the rows hold it. left-out: PostgreSQL refuses it for the rows that are there; tried again when it is defined anew.
  state       text NOT NULL DEFAULT 'made' CHECK (state IN ('made', 'wanted', 'left-out')),
  PRIMARY KEY (table_name, kind, name)
);
