DROP VIEW IF EXISTS ${database}.ingest_ledger_of_events ${on_cluster} SYNC;
DROP TABLE IF EXISTS ${database}.ingest_ledger ${on_cluster} SYNC;
DROP TABLE IF EXISTS ${database}.ingest_progress ${on_cluster} SYNC;
DROP TABLE IF EXISTS ${database}.dead_letters_raw ${on_cluster} SYNC;
