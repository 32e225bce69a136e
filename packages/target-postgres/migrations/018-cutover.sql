-- Where the installation is on its way from following the source to replacing it. No row: it follows, and no cutover has begun.
CREATE TABLE sync_cutover (
  only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- following: a cutover has begun, drains go on. done: nothing is applied any more. taken-back: follows again, rows have yet to be compared.
  phase           text NOT NULL CHECK (phase IN ('following', 'done', 'taken-back')),
  since           timestamptz NOT NULL DEFAULT now(),
  -- Keys of later drains are kept for comparing them again, as far as the bound on kept keys allows.
  kept_drain      bigint,
  -- All rows were compared as of that drain, and were equal.
  is_compared     boolean NOT NULL DEFAULT false,
  with_actions    boolean NOT NULL DEFAULT false,
  -- The transaction of the switch, modulo 2^32: rows that the application has written since are newer.
  switched_by     bigint
);
