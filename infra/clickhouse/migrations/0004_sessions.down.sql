DROP TABLE IF EXISTS ${database}.sessions_raw ${on_cluster} SYNC;
