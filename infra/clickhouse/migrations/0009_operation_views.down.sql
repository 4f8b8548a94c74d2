DROP VIEW IF EXISTS ${database}.qoe_by_minute ${on_cluster} SYNC;
DROP VIEW IF EXISTS ${database}.ledger ${on_cluster} SYNC;
DROP VIEW IF EXISTS ${database}.conflicts ${on_cluster} SYNC;
DROP VIEW IF EXISTS ${database}.dead_letters ${on_cluster} SYNC;
