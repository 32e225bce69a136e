-- Where a publication is FOR ALL TABLES, PostgreSQL refuses to change rows of a table without a key. Theirs are over expressions.
ALTER TABLE sync_parked REPLICA IDENTITY FULL;
ALTER TABLE sync_drain_key REPLICA IDENTITY FULL;
ALTER TABLE sync_quarantined_reference REPLICA IDENTITY FULL;
