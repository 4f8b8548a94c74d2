DROP TABLE IF EXISTS ${database}.set_aside_raw ${on_cluster} SYNC;
DROP TABLE IF EXISTS ${database}.events_raw ${on_cluster} SYNC;
