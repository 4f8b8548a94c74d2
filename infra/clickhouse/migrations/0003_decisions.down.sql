DROP TABLE IF EXISTS ${database}.decisions_raw ${on_cluster} SYNC;
